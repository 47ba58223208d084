/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/background.h"
#include "cli/named_sets.h"
#include "cli/output.h"
#include "cli/private_view.h"
#include "cli/sync_show.h"
#include "sync/leftovers.h"
#include "sync/sample.h"
#include "sync/state.h"
#include "tree/tree.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

/* So many paths are remembered of the files that differ at a node. */
enum { KEPT_MAX = 1000 };

struct syncing {
    const struct options *options;
    struct sync_set *set;
    struct private_view view;
    struct run run;           /* a transfer and */
    struct outcome *outcomes; /* an outcome for each node */
    const char *few;          /* see struct transfer */
    time_t began;
};

/* What happens while a step runs. */

static void woken(void *context)
{
    struct syncing *syncing = context;
    struct signalfd_siginfo signal;

    if (read(syncing->run.wake, &signal, sizeof signal) != sizeof signal)
        return;
    if ((int)signal.ssi_signo == background_signal(SIGUSR1)) {
        show_nodes(syncing->set, &syncing->run, true);
    } else if (!syncing->run.stop) {
        syncing->run.stop = true;
        log_error("sync: stopping; what is done stays done");
    }
}

static void look_on(void *context)
{
    const struct syncing *syncing = context;

    show_nodes(syncing->set, &syncing->run, false);
}

static struct outcome *outcome_of(const struct syncing *syncing, const struct transfer *transfer)
{
    return &syncing->outcomes[transfer - syncing->run.transfers];
}

static void happened(void *context, const struct transfer *transfer, enum transfer_event event)
{
    const struct syncing *syncing = context;
    struct outcome *outcome = outcome_of(syncing, transfer);

    /* The next try finds them again. */
    if (event == TRANSFER_FAILS_FOR_NOW && transfer->task == TASK_COMPARE)
        names_clear(&outcome->paths);
    else if (event == TRANSFER_FAILS_FOR_NOW && transfer->task == TASK_FIND)
        names_clear(&outcome->left);
    show_event(syncing->set, transfer, event);
}

static void moved(const struct transfer *transfer, enum move move, const char *path)
{
    const struct syncing *syncing = transfer->context;
    struct outcome *outcome = outcome_of(syncing, transfer);

    if (move == MOVE_LEFT) {
        names_add(&outcome->left, path); /* where that fails, it is left */
        return;
    }
    if (move == MOVE_DIFFERENT && outcome->paths.count < KEPT_MAX)
        names_add(&outcome->paths, path); /* where that fails, it counts as one not kept */
    if (move == MOVE_DIFFERENT || syncing->options->dry_run || syncing->options->verbose)
        show_move(syncing->set, transfer, move, path);
}

static void fail_node(struct outcome *outcome, const char *reason)
{
    if (!*outcome->error)
        snprintf(outcome->error, sizeof outcome->error, "%s", reason);
}

/*
 * The steps. Of each, a function PREPARES what is to be done for node number I (it returns 1 if
 * that is something, 0, or a negative errno), and another one JUDGES what came of it.
 */
typedef int prepares(struct syncing *syncing, size_t i, struct transfer *transfer);
typedef void judges(struct syncing *syncing, size_t i, const struct transfer *transfer);

static int run_step(struct syncing *syncing, enum task task, prepares *prepare, judges *judge)
{
    struct run *run = &syncing->run;

    for (size_t i = 0; i < run->count; i++) {
        const struct outcome *outcome = &syncing->outcomes[i];
        const struct counts done = run->transfers[i].done;
        run->transfers[i] = (struct transfer){
            .node = &syncing->set->nodes[i],
            .task = task,
            .share = outcome->share,
            .list = outcome->list,
            .place = outcome->place,
            .context = syncing,
            .moved = moved,
            .done = task == TASK_UPDATE ? done : (struct counts){0}, /* of what was sent again */
        };
        int r = prepare(syncing, i, &run->transfers[i]);
        if (r < 0)
            return r;
        run->transfers[i].step = r > 0 ? TRANSFER_WAITING : TRANSFER_NONE;
    }
    run_transfers(run);
    for (size_t i = 0; i < run->count; i++) {
        if (run->transfers[i].step == TRANSFER_DONE)
            judge(syncing, i, &run->transfers[i]);
    }
    return 0;
}

/*
 * Returns true if files of NODE are to be sent again: those that differ, or all where these are not
 * known. A cloud keeps checksums beside the bytes, and may give those of bytes that it has lost.
 * rsync computes them.
 */
static bool needs_resending(const struct sync_node *node)
{
    return node->mover == &rclone_mover && node->memory.differs_since > 0;
}

static int prepare_resending(struct syncing *syncing, size_t i, struct transfer *transfer)
{
    const struct names *different = &transfer->node->memory.different;

    if (!needs_resending(transfer->node) || different->count == 0)
        return 0;
    transfer->dry_run = syncing->options->dry_run;
    transfer->each_file = syncing->options->verbose;
    int r = sample_write_paths(different, transfer->list, transfer->node->mover->list_end);
    return r < 0 ? r : 1;
}

static void judge_resending(struct syncing *syncing, size_t i, const struct transfer *transfer)
{
    if (transfer->result < 0)
        fail_node(&syncing->outcomes[i], transfer->reason);
}

static int prepare_update(struct syncing *syncing, size_t i, struct transfer *transfer)
{
    const struct options *options = syncing->options;
    const struct memory *memory = &transfer->node->memory;

    transfer->dry_run = options->dry_run;
    transfer->each_file = options->verbose;
    transfer->known = memory->as_of > 0;
    transfer->checksum = options->checksum || memory->differs_since > 0;
    transfer->everything = needs_resending(transfer->node) && memory->different.count == 0;
    transfer->few = syncing->few;
    return 1;
}

static void judge_update(struct syncing *syncing, size_t i, const struct transfer *transfer)
{
    struct outcome *outcome = &syncing->outcomes[i];

    outcome->update = *transfer;
    outcome->unfinished |= transfer->result < 0 || transfer->tries > 1;
    if (transfer->result < 0)
        fail_node(outcome, transfer->reason);
}

/* Returns true if NODE is to be cleaned: where nothing was left undone. */
static bool is_to_be_cleaned(const struct outcome *outcome)
{
    return outcome->unfinished && outcome->update.result == 0 && !outcome->clean_failed;
}

static int prepare_finding(struct syncing *syncing, size_t i, struct transfer *transfer)
{
    if (!is_to_be_cleaned(&syncing->outcomes[i]))
        return 0;
    return mkdir(transfer->place, 0700) < 0 ? -errno : 1;
}

/* Notes what could not be cleaned, which the next run tries again. The node is up to date. */
static void clean_fails(struct syncing *syncing, size_t i, const char *reason)
{
    syncing->outcomes[i].clean_failed = true;
    syncing->outcomes[i].cleaned = 0;
    if (!syncing->run.stop)
        log_warning("%s/%s: what a stopped run has left there cannot be removed: %s",
                    syncing->set->name, syncing->set->nodes[i].name, reason);
}

static void judge_cleaning(struct syncing *syncing, size_t i, const struct transfer *transfer)
{
    if (transfer->result < 0)
        clean_fails(syncing, i, transfer->reason);
}

/* Removes what was found and is not the tree's. */
static int prepare_removal(struct syncing *syncing, size_t i, struct transfer *transfer)
{
    struct outcome *outcome = &syncing->outcomes[i];
    cleanup_names struct names chosen = NO_NAMES;

    if (!is_to_be_cleaned(outcome))
        return 0;
    int r = leftovers_choose(outcome->share, &outcome->left, &chosen);
    if (r < 0 || chosen.count == 0)
        return r;
    transfer->known = true;
    outcome->cleaned = chosen.count;
    r = transfer->node->mover->prepare(transfer, &chosen);
    if (r < 0)
        clean_fails(syncing, i, strerrordesc_np(-r));
    return r == 0;
}

/* Compares files of the nodes that are up to date, where there is something to compare. */
static int prepare_comparing(struct syncing *syncing, size_t i, struct transfer *transfer)
{
    struct outcome *outcome = &syncing->outcomes[i];

    if (*outcome->error)
        return 0;
    int r = sample_write(transfer->share, syncing->options->verify, syncing->began, transfer->list,
                         transfer->node->mover->list_end, &outcome->verified);
    return r < 0 ? r : outcome->verified > 0;
}

/* That a node cannot be compared does not mean that it is behind. */
static void judge_comparing(struct syncing *syncing, size_t i, const struct transfer *transfer)
{
    struct outcome *outcome = &syncing->outcomes[i];

    outcome->different = transfer->different;
    outcome->looked = transfer->result == 0 || outcome->different > 0;
    if (outcome->different > 0)
        fail_node(outcome, "it holds other bytes than were sent; the next run compares all");
    else if (transfer->result < 0)
        log_warning("%s/%s: cannot be compared: %s", syncing->set->name, transfer->node->name,
                    transfer->reason);
}

/* Refuses a source that is empty: one that is not mounted looks as if all was deleted. */
static int refuse_empty_source(const struct syncing *syncing)
{
    cleanup_names struct names names = NO_NAMES;
    cleanup_tree struct tree *share = NULL;
    bool removes = false;

    for (size_t i = 0; i < syncing->set->count; i++)
        removes |= syncing->set->nodes[i].terms.remove;
    int r = removes ? tree_open(syncing->outcomes[0].share, &share) : 0;
    if (share)
        r = tree_list(share, "", &names);
    if (r < 0)
        return log_errno(r, "%s: cannot be read", syncing->set->source);
    if (removes && names.count == 0) {
        log_error("%s: is empty: is it mounted? with delete = yes all would be deleted",
                  syncing->set->source);
        return -ENOENT;
    }
    return 0;
}

/*
 * Notes that something may be left at the nodes from now on: whoever stops this run may stop it
 * for good. A node of which nothing is known may hold what a forgotten run has left.
 */
static int remember_beginning(struct syncing *syncing, const char *folder)
{
    for (size_t i = 0; i < syncing->set->count; i++) {
        struct memory *memory = &syncing->set->nodes[i].memory;
        syncing->outcomes[i].unfinished = memory->unfinished_since > 0 || memory->as_of == 0;
        if (memory->tried == 0)
            memory->tried = syncing->began;
        if (memory->unfinished_since == 0)
            memory->unfinished_since = syncing->began;
    }
    return syncing->options->dry_run ? 0 : state_write(folder, syncing->set);
}

/* Remembers what came of a node. What differs stays noted until all was compared, and sent. */
static void remember(const struct syncing *syncing, struct memory *memory, struct outcome *outcome)
{
    bool is_current = !*outcome->error;

    memory->tried = syncing->began;
    memory->up_to_date = is_current;
    strcpy(memory->error, outcome->error);
    if (!outcome->unfinished)
        memory->unfinished_since = 0;
    if (is_current) {
        outcome->mended_since = memory->differs_since;
        memory->as_of = syncing->began;
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

/* Does all steps, with the view mounted. Returns 0 or a negative errno. */
static int run_steps(struct syncing *syncing, const char *folder)
{
    bool writes = !syncing->options->dry_run;
    uint64_t count;

    int r = refuse_empty_source(syncing);
    if (r == 0)
        r = remember_beginning(syncing, folder);
    if (r == 0)
        r = sample_write(syncing->outcomes[0].share, 0, 0, syncing->few, rsync_mover.list_end,
                         &count);
    if (r == 0)
        r = run_step(syncing, TASK_RESEND, prepare_resending, judge_resending);
    if (r == 0)
        r = run_step(syncing, TASK_UPDATE, prepare_update, judge_update);
    if (r == 0 && writes && !syncing->run.stop) {
        r = run_step(syncing, TASK_FIND, prepare_finding, judge_cleaning);
        if (r == 0)
            r = run_step(syncing, TASK_REMOVE, prepare_removal, judge_cleaning);
        for (size_t i = 0; r == 0 && i < syncing->set->count; i++)
            syncing->outcomes[i].unfinished &= !is_to_be_cleaned(&syncing->outcomes[i]);
        if (r < 0)
            log_errno(r, "%s: what stopped runs have left cannot be removed", syncing->set->name);
    }
    if (r == 0 && syncing->options->verify > 0 && !syncing->run.stop)
        r = run_step(syncing, TASK_COMPARE, prepare_comparing, judge_comparing);
    return r;
}

/* Shows and remembers what came of all nodes. */
static enum exit_status conclude_set(struct syncing *syncing, const char *folder)
{
    const struct sync_set *set = syncing->set;
    bool dry_run = syncing->options->dry_run;
    size_t current = 0;

    for (size_t i = 0; i < set->count; i++) {
        struct outcome *outcome = &syncing->outcomes[i];
        if (!dry_run)
            remember(syncing, &set->nodes[i].memory, outcome);
        show_outcome(set, outcome);
        current += !*outcome->error;
    }
    enum exit_status status = syncing->run.stop                   ? EXIT_STATUS_FAILED
                              : current == set->count             ? EXIT_STATUS_OK
                              : current >= set->encoding.required ? EXIT_STATUS_DAMAGED
                                                                  : EXIT_STATUS_LOST;
    if (!dry_run && state_write(folder, set) < 0)
        status = EXIT_STATUS_FAILED;
    show_set(set, current, dry_run, status);
    return status;
}

/* Does and concludes all steps. */
static enum exit_status run_set(struct syncing *syncing, const char *folder)
{
    const struct sync_set *set = syncing->set;
    const struct private_view *view = &syncing->view;
    cleanup_free struct transfer *transfers = calloc(set->count, sizeof *transfers);
    cleanup_free struct outcome *outcomes = calloc(set->count, sizeof *outcomes);
    cleanup_free char *few = NULL;
    bool ready = transfers && outcomes && asprintf(&few, "%s/few.list", view->folder) >= 0;

    for (size_t i = 0; ready && i < set->count; i++) {
        const uint8_t share = (uint8_t)set->nodes[i].share;
        struct outcome *outcome = &outcomes[i];
        ready = asprintf(&outcome->share, "%s/%02x", view->mount, share) >= 0 &&
                asprintf(&outcome->list, "%s/%02x.list", view->folder, share) >= 0 &&
                asprintf(&outcome->place, "%s/%02x.left", view->folder, share) >= 0;
    }
    syncing->outcomes = outcomes;
    syncing->few = few;
    syncing->run.transfers = transfers;
    syncing->run.count = set->count;
    enum exit_status status = ready && run_steps(syncing, folder) == 0
                                  ? conclude_set(syncing, folder)
                                  : EXIT_STATUS_FAILED;
    for (size_t i = 0; outcomes && i < set->count; i++) {
        names_clear(&outcomes[i].paths);
        names_clear(&outcomes[i].left);
        free(outcomes[i].share);
        free(outcomes[i].list);
        free(outcomes[i].place);
    }
    return status;
}

/*
 * Brings the nodes of SET up to date; SIGNALS is a descriptor from which the user's signals are
 * read. *STOPPED is set where one of them wanted the end. Called while there is but one thread.
 */
static enum exit_status sync_set(const struct options *options, struct sync_set *set, int signals,
                                 bool *stopped)
{
    struct syncing syncing = {
        .options = options,
        .set = set,
        .began = time(NULL),
        .run = {.jobs = options->jobs,
                .wake = signals,
                .context = &syncing,
                .woken = woken,
                .look = look_on,
                .happened = happened},
    };
    cleanup_free char *folder = NULL;
    cleanup_fd int lock = -1;

    if (state_folder(&folder) < 0 || state_lock(folder, set->name, &lock) < 0 ||
        state_read(folder, set) < 0 || private_view_open(set, lock, &syncing.view) < 0)
        return EXIT_STATUS_FAILED;
    enum exit_status status = run_set(&syncing, folder);
    private_view_close(&syncing.view);
    *stopped = syncing.run.stop;
    return status;
}

/* The command. */

static bool is_wanted(const struct options *options, const struct sync_set *set)
{
    for (size_t i = 0; i < options->word_count; i++) {
        if (strcmp(options->words[i], set->name) == 0)
            return true;
    }
    return options->word_count == 0;
}

/* Lost comes before failed, and failed before damaged. */
static enum exit_status worse(enum exit_status one, enum exit_status other)
{
    if (one == EXIT_STATUS_LOST || other == EXIT_STATUS_LOST)
        return EXIT_STATUS_LOST;
    return one > other ? one : other;
}

static enum exit_status sync_all(const struct options *options, struct sets *sets, int signals)
{
    enum exit_status status = EXIT_STATUS_OK;
    double began = clock_seconds();
    bool stopped = false;
    int count = 0;

    for (size_t i = 0; i < sets->count && !stopped; i++) {
        if (!is_wanted(options, &sets->sets[i]))
            continue;
        status = worse(status, sync_set(options, &sets->sets[i], signals, &stopped));
        count++;
    }
    output_json("summary", json_pack("{s:s, s:b, s:i, s:f, s:i}", "command", "sync", "dry_run",
                                     options->dry_run, "sets", count, "seconds",
                                     clock_seconds() - began, "exit_status", status));
    return status;
}

enum exit_status sync_command(struct options *options)
{
    cleanup_sets struct sets sets = {0};
    cleanup_free char *path = NULL;
    sigset_t passed;

    int r = sets_named(options, &path, &sets);
    for (size_t i = 0; r == 0 && i < options->word_count; i++) {
        if (!sets_find(&sets, options->words[i])) {
            log_error("%s: there is no such set in %s", options->words[i], path);
            r = -EINVAL;
        }
    }
    if (r < 0)
        return r == -EINVAL ? EXIT_STATUS_USAGE : EXIT_STATUS_FAILED;
    background_signals(&passed);
    sigprocmask(SIG_BLOCK, &passed, NULL);
    cleanup_fd int signals = signalfd(-1, &passed, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0) {
        log_errno(-errno, "sync");
        return EXIT_STATUS_FAILED;
    }
    return sync_all(options, &sets, signals);
}
