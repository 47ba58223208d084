/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/times.h"
#include "cli/alarm.h"
#include "cli/background.h"
#include "cli/chosen.h"
#include "cli/metrics.h"
#include "cli/outcome.h"
#include "cli/output.h"
#include "cli/private_view.h"
#include "cli/set_key.h"
#include "cli/standing.h"
#include "cli/sync_sets.h"
#include "seal/manifest.h"
#include "sync/address.h"
#include "sync/description.h"
#include "sync/leftovers.h"
#include "sync/run.h"
#include "sync/sample.h"
#include "sync/sets.h"
#include "sync/state.h"

#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

/* The most paths that are remembered of files that differ at a node, and of symlinks sent to it. */
enum { KEPT_MAX = 1000 };

/* How often names are counted that the source no longer has, which takes one more listing. */
enum { COUNT_EVERY_S = 7 * 24 * 60 * 60 };

struct syncing {
    const struct options *options;
    struct sync_set *set;
    struct private_view view;
    struct run run;           /* a transfer for each node */
    struct outcome *outcomes; /* one for each node */
    const char *few;          /* see struct transfer */
    bool describes;           /* each node gets a description of the others */
    char encoding[ENCODING_SIZE];
    uint64_t files, bytes; /* of a share */
    int64_t root_ns;       /* of a sealed set: as in sync_set, for what is sent */
    time_t began;
    struct timespec began_at; /* the same, by the clock of times of change */
};

/* What happens while a step runs. */

static void look(void *context)
{
    struct syncing *syncing = context;
    struct signalfd_siginfo signal;
    bool is_signal = read(syncing->run.wake, &signal, sizeof signal) == sizeof signal;
    bool is_asked = is_signal && (int)signal.ssi_signo == background_signal(SIGUSR1);

    if (is_signal && !is_asked && !syncing->run.stop) {
        syncing->run.stop = true;
        log_error("%s: stopping; what is done stays done", syncing->options->name);
    }
    outcome_show_runs(syncing->set, &syncing->run, is_asked);
}

static void happened(const struct transfer *transfer, enum transfer_event event)
{
    const struct syncing *syncing = transfer->context;
    struct outcome *outcome = &syncing->outcomes[transfer - syncing->run.transfers];
    const struct sync_set *set = syncing->set;
    const struct sync_node *node = transfer->node;
    bool fails = event == TRANSFER_FAILS_FOR_NOW;

    /* the next try finds them again */
    if (fails && transfer_compares(transfer))
        names_clear(&outcome->paths);
    else if (fails && transfer->task == TASK_FIND)
        names_clear(&outcome->left);
    if (transfer->task != TASK_UPDATE)
        return; /* its outcome is reported later */
    if (event == TRANSFER_IS_DISTRUSTED) {
        log_warning(
            "%s/%s: holds a share other than %02x, one of another encoding (required, format, "
            "block size), or a damaged one; comparing everything",
            set->name, node->name, (uint8_t)node->share);
        return;
    }
    json_t *object = outcome_json(set, transfer, fails ? "retry" : "begin");
    if (fails)
        output_json_path(object, "error", transfer->reason); /* may contain any byte */
    if (fails && !output_has_progress())                     /* otherwise the progress shows it */
        log_warning("%s/%s: %s; will be tried again", set->name, node->name, transfer->reason);
    output_json("node", object);
}

static void moved(const struct transfer *transfer, enum move move, const char *path)
{
    static const char *const actions[] = {"sent", "sent", "deleted", "different", "left", "kept"};
    const struct syncing *syncing = transfer->context;
    struct outcome *outcome = &syncing->outcomes[transfer - syncing->run.transfers];
    const char *set = syncing->set->name, *node = transfer->node->name;
    bool differs = move == MOVE_DIFFERENT;

    if (move == MOVE_LEFT) {
        names_add(&outcome->left, path); /* without memory, it is left */
        return;
    }
    if (differs && outcome->paths.count < KEPT_MAX)
        names_add(&outcome->paths, path); /* without memory, it counts as not kept */
    if (move == MOVE_SENT_LINK && !transfer->dry_run && outcome->links.count < KEPT_MAX)
        names_add(&outcome->links, path);
    const struct options *options = syncing->options;
    if (!differs && (options->ask || !options->dry_run) && !options->verbose)
        return;
    json_t *object =
        json_pack("{s:s, s:s, s:s}", "set", set, "node", node, "action", actions[move]);
    output_json_path(object, "path", path);
    output_json("file", object);
    output_text(differs ? COLOUR_BAD : COLOUR_NONE, "%s/%s: %s%s: %s", set, node,
                differs             ? "is "
                : transfer->dry_run ? "would be "
                                    : "",
                actions[move], path);
}

/* The steps. */

static void fail_node(struct outcome *outcome, const char *reason)
{
    if (!*outcome->error)
        snprintf(outcome->error, sizeof outcome->error, "%s", reason);
}

/* Notes what could not be cleaned, for the next run. The node is up to date all the same. */
static void fail_cleaning(struct syncing *syncing, size_t i, const char *reason)
{
    syncing->outcomes[i].clean_failed = true;
    syncing->outcomes[i].cleaned = 0;
    if (!syncing->run.stop)
        log_warning("%s/%s: what a stopped run has left there cannot be removed: %s",
                    syncing->set->name, syncing->set->nodes[i].name, reason);
}

static bool is_of_another_encoding(const struct syncing *syncing, const struct memory *memory)
{
    return memory->tried > 0 && strcmp(memory->encoding, syncing->encoding) != 0;
}

/* Returns true if the node is to be cleaned: nothing was left undone. */
static bool is_to_be_cleaned(const struct outcome *outcome)
{
    return outcome->unfinished && outcome->update.result == 0 && !outcome->clean_failed;
}

/* Returns true if the place of node number I was filled in this run. */
static bool is_filled(const struct syncing *syncing, size_t i)
{
    return syncing->set->nodes[i].memory.as_of == 0 && syncing->outcomes[i].update.result == 0;
}

/* Counts filled places: two or more may be swapped. Places filled earlier identify themselves. */
static size_t count_filled(const struct syncing *syncing)
{
    size_t ret = 0;

    for (size_t i = 0; i < syncing->set->count; i++)
        ret += is_filled(syncing, i);
    return ret;
}

/*
 * Chooses a few small files to ask the node for. rsync reports files of equal size and time with
 * other bytes; rclone reports any difference, so the files must not have changed since the last
 * run.
 */
static int choose_few(const struct syncing *syncing, struct transfer *transfer)
{
    const struct sync_node *node = transfer->node;
    int r = 1;

    if (node->mover == &rclone_mover)
        r = transfer->known ? sample_write_known(syncing->few, transfer->share, node->memory.as_of,
                                                 transfer->list, node->mover->list_end)
                            : 0;
    if (r > 0)
        transfer->few = node->mover == &rclone_mover ? transfer->list : syncing->few;
    return r;
}

/*
 * Writes the list of symlinks that an rsync daemon may have changed: those sent to it; or all, if
 * one was changed before, files are compared as well, or the sent ones are not known. Symlinks that
 * have changed since the run began are left to the next run. Returns 1 if there are any, 0, or an
 * error.
 */
static int choose_links(const struct syncing *syncing, size_t i, const struct transfer *transfer)
{
    const struct names *links = &syncing->outcomes[i].links;
    cleanup_names struct names chosen = NO_NAMES;
    const bool differs = transfer->node->memory.differs_since > 0 && !transfer->dry_run;
    uint64_t count = 0;
    int r = 0;

    if (transfer->node->mover != &rsync_mover ||
        address_kind(transfer->node->target) != ADDRESS_DAEMON || *syncing->outcomes[i].error)
        return 0;
    if (differs || syncing->options->verify > 0 || links->count == KEPT_MAX) {
        r = sample_write(transfer->share, SAMPLE_SYMLINKS, 1, syncing->began, transfer->list,
                         transfer->node->mover->list_end, &count);
        return r < 0 ? r : count > 0;
    }
    for (size_t at = 0; r == 0 && at < links->count; at++) {
        cleanup_free char *path = NULL;
        struct stat status;
        if (asprintf(&path, "%s/%s", transfer->share, names_get(links, at)) < 0)
            r = -ENOMEM;
        else if (lstat(path, &status) == 0 && S_ISLNK(status.st_mode) &&
                 times_compare(&status.st_ctim, &syncing->began_at) < 0)
            r = names_add(&chosen, names_get(links, at));
    }
    if (r == 0 && chosen.count > 0)
        r = sample_write_paths(&chosen, transfer->list, transfer->node->mover->list_end);
    return r < 0 ? r : chosen.count > 0;
}

/* Prepares the next task for node number I. Returns 1 if there is one, 0, or an error. */
static int prepare_task(struct syncing *syncing, size_t i, struct transfer *transfer)
{
    const struct options *options = syncing->options;
    const struct memory *memory = &transfer->node->memory;
    const struct mover *mover = transfer->node->mover;
    struct outcome *outcome = &syncing->outcomes[i];
    cleanup_names struct names chosen = NO_NAMES;
    /*
     * Files that differ must be sent again, or all files if these are not known. A cloud keeps
     * checksums beside the bytes, and may report those of bytes that it has lost. rsync computes
     * them.
     */
    bool again = mover == &rclone_mover && memory->differs_since > 0;
    int r;

    switch (transfer->task) {
    case TASK_REACH:
        transfer->known = memory->as_of > 0;
        strcpy(transfer->mount, memory->mount);
        return 1;
    case TASK_RESEND:
        if (outcome->update.result < 0 || !again || memory->different.count == 0)
            return 0;
        r = sample_write_paths(&memory->different, transfer->list, mover->list_end);
        return r < 0 ? r : 1;
    case TASK_UPDATE:
        if (outcome->update.result < 0) /* it is out of reach */
            return 0;
        transfer->remove_most = options->remove_most;
        transfer->known = memory->as_of > 0;
        strcpy(transfer->mount, memory->mount);
        transfer->checksum =
            options->checksum || memory->differs_since > 0 || outcome->is_of_another_encoding;
        transfer->everything = again && memory->different.count == 0;
        r = choose_few(syncing, transfer);
        if (r < 0)
            return r;
        /* nothing there will show that this run has filled it */
        if (transfer->seal && !transfer->keys && !transfer->set)
            transfer->is_new = memory->first_tried == syncing->began && !transfer->adopts;
        transfer->counts =
            !transfer->node->terms.remove && (options->dry_run || options->verify > 0 ||
                                              syncing->began - memory->counted >= COUNT_EVERY_S);
        return 1;
    case TASK_ASK:
        if (!syncing->describes || !is_filled(syncing, i) || count_filled(syncing) < 2)
            return 0;
        r = description_clear(transfer->theirs);
        return r < 0 ? r : 1;
    case TASK_FETCH:
        break;
    case TASK_FIND:
        if (!is_to_be_cleaned(outcome))
            return 0;
        return mkdir(transfer->place, 0700) < 0 ? -errno : 1;
    case TASK_REMOVE: /* the leftovers that were found and are not the tree's */
        if (!is_to_be_cleaned(outcome))
            return 0;
        r = leftovers_choose(transfer->share, &outcome->left, &chosen);
        if (r < 0 || chosen.count == 0)
            return r;
        transfer->known = true;
        outcome->cleaned = chosen.count;
        r = mover->prepare(transfer, &chosen);
        if (r < 0)
            fail_cleaning(syncing, i, strerrordesc_np(-r));
        return r == 0;
    case TASK_ROOT: /* an update does that as well */
        return 0;
    case TASK_COMPARE: /* of nodes that are up to date, if there is something to compare */
        if (*outcome->error)
            return 0;
        r = sample_write(
            transfer->share, mover == &rsync_mover ? SAMPLE_FILES | SAMPLE_SYMLINKS : SAMPLE_FILES,
            options->verify, syncing->began, transfer->list, mover->list_end, &outcome->verified);
        return r < 0 ? r : outcome->verified > 0;
    case TASK_COMPARE_BACK:
        return choose_links(syncing, i, transfer);
    }
    return 0;
}

/* If the place of node number I says that it holds another node's share, both nodes were sent to
 * one place, which holds a mixture. */
static void look_for_twin(struct syncing *syncing, size_t i, const char *theirs)
{
    const struct sync_set *set = syncing->set;
    cleanup_sets struct sets sets = {0};
    char reason[REASON_SIZE];

    log_mute(true);
    int r = description_read(theirs, description_name(set), theirs, &sets);
    log_mute(false);
    for (size_t at = 0; r == 0 && at < set->count; at++) {
        if (at == i || set->nodes[at].share != sets.sets[0].nodes[0].share ||
            strcmp(sets.sets[0].name, description_of(set)) != 0)
            continue;
        snprintf(reason, sizeof reason,
                 "the places of %.200s and %.200s are one: give each node its own",
                 set->nodes[i].name, set->nodes[at].name);
        fail_node(&syncing->outcomes[i], reason);
        fail_node(&syncing->outcomes[at], reason);
    }
}

/* Notes the result of the task. */
static void judge_task(struct syncing *syncing, size_t i, const struct transfer *transfer)
{
    struct outcome *outcome = &syncing->outcomes[i];
    bool failed = transfer->result < 0;

    switch (transfer->task) {
    case TASK_REACH:
    case TASK_UPDATE:
        outcome->update = *transfer;
        outcome->unfinished |= failed || transfer->tries > 1;
        /* fall through */
    case TASK_RESEND:
    case TASK_ROOT:
        if (failed)
            fail_node(outcome, transfer->reason);
        break;
    case TASK_ASK:
        if (!failed)
            look_for_twin(syncing, i, transfer->theirs);
        break;
    case TASK_FETCH:
        break;
    case TASK_FIND:
    case TASK_REMOVE:
        if (failed)
            fail_cleaning(syncing, i, transfer->reason);
        break;
    case TASK_COMPARE: /* a node that cannot be compared is not behind for that */
    case TASK_COMPARE_BACK:
        outcome->different = transfer->different;
        if (outcome->different > 0) {
            fail_node(outcome,
                      transfer->task == TASK_COMPARE_BACK
                          ? RSYNC_CHANGES_LINKS
                          : "it holds other bytes than were sent; the next run compares all");
        } else if (failed) {
            outcome->verified = 0;
            log_warning("%s/%s: cannot be compared: %s", syncing->set->name, transfer->node->name,
                        transfer->reason);
        }
    }
}

static int run_step(struct syncing *syncing, enum transfer_task task)
{
    const bool sealed = sets_is_sealed(syncing->set);
    struct run *run = &syncing->run;

    for (size_t i = 0; i < run->count; i++) {
        struct transfer *transfer = &run->transfers[i];
        const struct counts done = transfer->done;
        *transfer = (struct transfer){
            .node = &syncing->set->nodes[i],
            .task = task,
            .share = transfer->share,
            .list = transfer->list,
            .way = transfer->way,
            .place = transfer->place,
            .above = transfer->above,
            .ours = transfer->ours,
            .theirs = transfer->theirs,
            .set = syncing->describes ? syncing->set : NULL,
            .seal = sealed ? &syncing->set->seal : NULL,
            .keys = sealed && syncing->set->seal.on_nodes ? transfer->share : NULL,
            .adopts = syncing->options->adopt,
            .dry_run = syncing->options->dry_run,
            .each_file = syncing->options->verbose,
            .context = syncing,
            .moved = moved,
            .happened = happened,
            .done = task == TASK_UPDATE ? done : (struct counts){0}, /* of what was sent again */
        };
        int r = prepare_task(syncing, i, transfer);
        if (r < 0)
            return r;
        transfer->step = r > 0 ? TRANSFER_WAITING : TRANSFER_NONE;
    }
    run_transfers(run);
    for (size_t i = 0; i < run->count; i++) {
        if (run->transfers[i].step == TRANSFER_DONE)
            judge_task(syncing, i, &run->transfers[i]);
    }
    return 0;
}

/*
 * Shares of another encoding are useless together with the existing ones. So a change begins only
 * if enough nodes can be reached to restore from these alone. A dry run contacts all nodes anyway.
 * Returns 0, or a negative errno after lines in the log.
 */
static int reach_nodes(struct syncing *syncing)
{
    const struct sync_set *set = syncing->set;
    bool dry_run = syncing->options->dry_run, changes = false;
    const struct memory *other = NULL; /* of a reachable node */
    size_t reached = 0;

    for (size_t i = 0; i < set->count; i++)
        changes |= is_of_another_encoding(syncing, &set->nodes[i].memory);
    int r = changes || dry_run ? run_step(syncing, TASK_REACH) : 0;
    if (r < 0 || !changes)
        return r;
    for (size_t i = 0; i < set->count; i++) {
        const struct memory *memory = &set->nodes[i].memory;
        if (syncing->outcomes[i].update.result < 0)
            continue;
        reached++;
        if (is_of_another_encoding(syncing, memory) && (!other || !*other->encoding))
            other = memory;
    }
    if (!other || reached >= set->encoding.required || syncing->run.stop)
        return 0;
    for (size_t i = 0; i < set->count; i++) {
        if (*syncing->outcomes[i].error)
            log_warning("%s/%s: cannot be reached: %s", set->name, set->nodes[i].name,
                        syncing->outcomes[i].error);
    }
    return log_as(
        -EPERM,
        "%s: the encoding was changed (format, required, block size) from \"%s\" to "
        "\"%s\", which needs %u nodes that can be reached; only %zu of %zu can, so nothing "
        "is done: make more of them reachable, or undo the change in the file of sets",
        set->name, *other->encoding ? other->encoding : "several", syncing->encoding,
        set->encoding.required, reached, set->count);
}

/* Writes each node's description of the others. Returns 0 or a negative errno. */
static int write_descriptions(struct syncing *syncing)
{
    const struct sync_set *set = syncing->set;
    cleanup_free char *path = NULL;
    struct stat status;
    int r = 0;

    if (!set->described)
        return 0;
    if (asprintf(&path, "%s/%s", syncing->run.transfers[0].share, description_name(set)) < 0)
        return -ENOMEM;
    syncing->describes = lstat(path, &status) < 0;
    if (!syncing->describes)
        log_warning("%s: the source has a file " DESCRIPTION_NAME ", so the nodes are not told of "
                    "each other: rename it, or write describe = no",
                    set->name);
    for (size_t i = 0; r == 0 && syncing->describes && i < set->count; i++) {
        r = description_write(set, &set->nodes[i], syncing->run.transfers[i].ours);
        if (r != -EINVAL)
            continue;
        log_warning("%s: one of the places is nothing to tell other nodes of: write describe = no, "
                    "and keep a copy of the file of sets",
                    set->name);
        syncing->describes = false;
        r = 0;
    }
    return r < 0 ? log_errno(r, "%s: cannot be described", set->name) : 0;
}

/* Refuses a source without any file if there were some before: it may not be mounted. */
static int refuse_empty_source(const struct syncing *syncing)
{
    const struct sync_set *set = syncing->set;
    uint64_t files = 0;

    for (size_t i = 0; i < set->count; i++)
        files = set->nodes[i].memory.files > files ? set->nodes[i].memory.files : files;
    if (syncing->files > 0 || files == 0 || syncing->options->remove_most)
        return 0;
    return log_as(-ENOENT,
                  "%s: there is no file in the source %s, and there were %s: is it mounted? "
                  "--delete-most goes on all the same",
                  set->name, set->source, show_count(files).text);
}

/* Refuses to mix plain and sealed shares: their names differ, so plain shares would stay readable
 * beside sealed ones, or be deleted before enough new ones are there. */
static int refuse_mixture(const struct sync_set *set)
{
    static const char sealed[] = "sealed,";

    for (size_t i = 0; i < set->count; i++) {
        const struct memory *memory = &set->nodes[i].memory;
        const bool was_sealed = strncmp(memory->encoding, sealed, strlen(sealed)) == 0;
        if (memory->tried > 0 && *memory->encoding && was_sealed != sets_is_sealed(set))
            return log_as(-EPERM,
                          "%s: node %s holds %s shares, and format = %s makes %s ones: give every "
                          "node a new, empty place in the file of sets, and remove the old places "
                          "once sync has filled the new ones",
                          set->name, set->nodes[i].name, was_sealed ? "sealed" : "plain",
                          formats[set->encoding.format]->name, was_sealed ? "plain" : "sealed");
    }
    return 0;
}

/* Returns when the root that is sent last changed: the time of its manifest. */
static int64_t look_at_root(const struct syncing *syncing)
{
    cleanup_free char *path = NULL;
    struct stat status;

    if (!sets_is_sealed(syncing->set) ||
        asprintf(&path, "%s/" MANIFEST_NAME, syncing->run.transfers[0].share) < 0)
        return 0;
    return lstat(path, &status) < 0 ? 0 : header_time(&status.st_mtim);
}

/* Runs all steps, with the view mounted. Returns 0 or a negative errno. */
static int run_steps(struct syncing *syncing, const char *folder)
{
    const struct sync_set *set = syncing->set;
    bool dry_run = syncing->options->dry_run;

    int r = sample_write_few(syncing->run.transfers[0].share, sets_is_sealed(set), syncing->few,
                             rsync_mover.list_end, &syncing->files, &syncing->bytes);
    syncing->root_ns = look_at_root(syncing);
    if (r == 0)
        r = refuse_empty_source(syncing);
    if (r == 0)
        r = write_descriptions(syncing);
    if (r == 0)
        r = reach_nodes(syncing);
    if (r < 0)
        return r;
    /* From now on leftovers may be at the nodes, since this run may be stopped for good. A node of
     * which nothing is known may have those of a forgotten run. */
    for (size_t i = 0; i < set->count; i++) {
        struct memory *memory = &set->nodes[i].memory;
        struct outcome *outcome = &syncing->outcomes[i];
        bool goes_on = outcome->update.result == 0; /* not known to be out of reach */
        memory->begun = syncing->began;
        outcome->unfinished = memory->unfinished_since > 0 || memory->as_of == 0;
        if (memory->unfinished_since == 0)
            memory->unfinished_since = syncing->began;
        if (memory->tried == 0) {
            memory->tried = memory->first_tried = syncing->began;
            strcpy(memory->encoding, syncing->encoding);
        }
        /* The encoding is known again after everything there was compared. */
        outcome->is_of_another_encoding = is_of_another_encoding(syncing, memory);
        if (outcome->is_of_another_encoding && goes_on)
            *memory->encoding = '\0';
    }
    r = dry_run ? 0 : state_write(folder, set);
    if (r == 0)
        r = run_step(syncing, TASK_RESEND);
    if (r == 0)
        r = run_step(syncing, TASK_UPDATE);
    if (r == 0 && !dry_run && !syncing->run.stop)
        r = run_step(syncing, TASK_ASK);
    if (r == 0 && !syncing->run.stop)
        r = run_step(syncing, TASK_COMPARE_BACK);
    if (r == 0 && !dry_run && !syncing->run.stop) {
        r = run_step(syncing, TASK_FIND);
        if (r == 0)
            r = run_step(syncing, TASK_REMOVE);
        for (size_t i = 0; r == 0 && i < set->count; i++)
            syncing->outcomes[i].unfinished &= !is_to_be_cleaned(&syncing->outcomes[i]);
        if (r < 0)
            log_errno(r, "%s: what stopped runs have left cannot be removed", set->name);
    }
    if (r == 0 && syncing->options->verify > 0 && !syncing->run.stop)
        r = run_step(syncing, TASK_COMPARE);
    return r;
}

/* Notes names that the source no longer has. A node that deletes keeps none. */
static void note_surplus(const struct syncing *syncing, struct memory *memory,
                         const struct transfer *update)
{
    if (!update->counted)
        return;
    memory->counted = syncing->began;
    memory->surplus = update->node->terms.remove ? 0 : update->surplus;
}

/* Remembers a node's result. Differences stay noted until everything was compared, and sent. */
static void remember(const struct syncing *syncing, struct memory *memory, struct outcome *outcome)
{
    memory->tried = syncing->began;
    memory->begun = 0;
    memory->up_to_date = !*outcome->error;
    strcpy(memory->error, outcome->error);
    if (!outcome->unfinished)
        memory->unfinished_since = 0;
    strcpy(memory->mount, outcome->update.mount);
    if (outcome->verified > 0) {
        memory->checked = syncing->began;
        memory->compared = outcome->verified;
    }
    if (memory->up_to_date) {
        outcome->mended_since = memory->differs_since;
        memory->as_of = syncing->began;
        memory->first_tried = memory->filling_since = 0;
        memory->files = syncing->files;
        memory->bytes = syncing->bytes;
        strcpy(memory->encoding, syncing->encoding);
        memory->differs_since = 0;
        names_clear(&memory->different);
    } else if (outcome->different > 0) {
        if (memory->differs_since == 0)
            memory->differs_since = syncing->began;
        names_clear(&memory->different);
        if (outcome->paths.count == outcome->different) {
            memory->different = outcome->paths;
            outcome->paths = NO_NAMES;
        }
    }
}

/* Reports nodes that have been behind for too long. Returns true if there are any. */
static bool tell_late_nodes(const struct sync_set *set)
{
    const time_t now = time(NULL);
    bool ret = false;

    for (size_t i = 0; i < set->count; i++) {
        const struct sync_node *node = &set->nodes[i];
        if (!standing_is_late(node, now))
            continue;
        log_error("%s/%s: behind for longer than max_behind allows (%s): see why, or raise it in "
                  "the file of sets",
                  set->name, node->name, show_age(node->terms.max_behind).text);
        ret = true;
    }
    return ret;
}

/* Shows and remembers the results of all nodes. */
static enum exit_status conclude_set(struct syncing *syncing, const char *folder)
{
    struct sync_set *set = syncing->set;
    bool dry_run = syncing->options->dry_run;
    size_t current = 0;

    for (size_t i = 0; i < set->count; i++) {
        struct outcome *outcome = &syncing->outcomes[i];
        note_surplus(syncing, &set->nodes[i].memory, &outcome->update);
        if (!dry_run)
            remember(syncing, &set->nodes[i].memory, outcome);
        outcome_show(set, outcome);
        current += !*outcome->error;
    }
    enum exit_status status =
        syncing->run.stop ? EXIT_STATUS_FAILED : standing_status(set, current);
    if (!dry_run && tell_late_nodes(set))
        status = EXIT_STATUS_LOST;
    if (current >= set->encoding.required && syncing->root_ns > 0)
        set->root_ns = syncing->root_ns;
    if (!dry_run && state_write(folder, set) < 0)
        status = EXIT_STATUS_FAILED;
    output_text(status == EXIT_STATUS_OK ? COLOUR_GOOD : COLOUR_BAD, "%s: %zu of %zu nodes %s, %s",
                set->name, current, set->count, dry_run ? "can be reached" : "are up to date",
                standing_enough(set, current).text);
    output_json("set", json_pack("{s:s, s:i, s:i, s:i, s:i}", "set", set->name, "nodes",
                                 (int)set->count, "up_to_date", (int)current, "required",
                                 (int)set->encoding.required, "exit_status", status));
    return status;
}

/* Remembers the exit status of a run, and reports problems. Returns the final status. */
static enum exit_status note_end(const struct options *options, struct sync_set *set,
                                 enum exit_status status)
{
    cleanup_alarm struct alarm alarm = {.lock = -1};

    if (options->dry_run)
        return status;
    int r = alarm_begin(set, &alarm);
    set->watch.sync = (int)status;
    if (r == 0)
        r = alarm_raise(&alarm, set);
    return r < 0 ? standing_worse(status, EXIT_STATUS_FAILED) : status;
}

/*
 * Updates the nodes of SET. SIGNALS is a descriptor from which the user's signals are read; sets
 * *STOPPED if one of them is to stop. Call it while there is only one thread.
 */
static enum exit_status sync_set(const struct options *options, struct sync_set *set, int signals,
                                 bool *stopped)
{
    cleanup_free struct transfer *transfers = calloc(set->count, sizeof *transfers);
    cleanup_free struct outcome *outcomes = calloc(set->count, sizeof *outcomes);
    cleanup_free char *folder = NULL, *few = NULL;
    cleanup_fd int lock = -1;
    struct syncing syncing = {
        .options = options,
        .set = set,
        .outcomes = outcomes,
        .run = {.transfers = transfers,
                .count = set->count,
                .jobs = options->jobs,
                .wake = signals,
                .context = &syncing,
                .look = look},
    };
    const struct private_view *view = &syncing.view;

    clock_gettime(CLOCK_REALTIME_COARSE, &syncing.began_at);
    syncing.began = syncing.began_at.tv_sec;
    if (!transfers || !outcomes || state_folder(&folder) < 0 || state_make_folder(folder) < 0 ||
        state_lock(folder, set->name, &lock) < 0)
        return EXIT_STATUS_FAILED;
    int known = state_read(folder, set);
    int r = known < 0 && known != -ENOENT && known != -EBADMSG ? known : refuse_mixture(set);
    if (r == 0 && sets_is_sealed(set))
        r = set_key_take(options, set);
    *stopped = r == -ECANCELED;
    if (r < 0 || private_view_open(set, lock, &syncing.view) < 0)
        return *stopped ? EXIT_STATUS_FAILED : note_end(options, set, EXIT_STATUS_FAILED);
    bool ready = asprintf(&few, "%s/few.list", view->folder) >= 0;
    for (size_t i = 0; ready && i < set->count; i++) {
        const uint8_t share = (uint8_t)set->nodes[i].share;
        struct transfer *transfer = &transfers[i];
        ready = asprintf(&transfer->share, "%s/%02x", view->mount, share) >= 0 &&
                asprintf(&transfer->list, "%s/%02x.list", view->folder, share) >= 0 &&
                asprintf(&transfer->way, "%s/%02x.way", view->folder, share) >= 0 &&
                asprintf(&transfer->place, "%s/%02x.left", view->folder, share) >= 0 &&
                asprintf(&transfer->ours, "%s/%02x.ours", view->folder, share) >= 0 &&
                asprintf(&transfer->theirs, "%s/%02x.theirs", view->folder, share) >= 0 &&
                address_above(set->nodes[i].target, &transfer->above) >= 0;
    }
    syncing.few = few;
    state_encoding(&set->encoding, syncing.encoding);
    enum exit_status status = ready && run_steps(&syncing, folder) == 0
                                  ? conclude_set(&syncing, folder)
                                  : EXIT_STATUS_FAILED;
    for (size_t i = 0; i < set->count; i++) {
        names_clear(&outcomes[i].paths);
        names_clear(&outcomes[i].left);
        names_clear(&outcomes[i].links);
        free(transfers[i].share);
        free(transfers[i].list);
        free(transfers[i].way);
        free(transfers[i].place);
        free(transfers[i].above);
        free(transfers[i].ours);
        free(transfers[i].theirs);
    }
    private_view_close(&syncing.view);
    *stopped = syncing.run.stop;
    return *stopped ? status : note_end(options, set, status);
}

enum exit_status sync_sets(const struct options *options, struct sets *sets, int *ret_count)
{
    enum exit_status status = EXIT_STATUS_OK;
    bool stopped = false;
    sigset_t passed;

    *ret_count = 0;
    background_signals(&passed);
    sigprocmask(SIG_BLOCK, &passed, NULL);
    cleanup_fd int signals = signalfd(-1, &passed, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0) {
        log_errno(-errno, "%s", options->name);
        return EXIT_STATUS_FAILED;
    }
    for (size_t i = 0; i < sets->count && !stopped; i++) {
        if (!chosen_has(options, &sets->sets[i]) || !sets->sets[i].source)
            continue;
        status = standing_worse(status, sync_set(options, &sets->sets[i], signals, &stopped));
        ++*ret_count;
    }
    return status;
}

enum exit_status sync_command(struct options *options)
{
    cleanup_sets struct sets sets = {0};
    double began = clock_seconds();
    int count = 0;

    enum exit_status status = chosen_read(options, &sets);
    if (status != EXIT_STATUS_OK)
        return status;
    for (size_t i = 0; i < sets.count; i++) {
        if (chosen_has(options, &sets.sets[i]))
            alarm_check(&sets.sets[i]);
    }
    status = sync_sets(options, &sets, &count);
    if (metrics_write(options, &sets) < 0)
        status = standing_worse(status, EXIT_STATUS_FAILED);
    output_json("summary", json_pack("{s:s, s:b, s:i, s:f, s:i}", "command", "sync", "dry_run",
                                     options->dry_run, "sets", count, "seconds",
                                     clock_seconds() - began, "exit_status", status));
    return status;
}
