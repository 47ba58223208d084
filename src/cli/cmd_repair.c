/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include "base/array.h"
#include "base/log.h"
#include "cli/alarm.h"
#include "cli/copying.h"
#include "cli/findings.h"
#include "cli/node_keys.h"
#include "cli/output.h"
#include "cli/sealed.h"
#include "cli/sending.h"
#include "cli/set_stores.h"
#include "cli/sources.h"
#include "engine/repair.h"

#include <string.h>

/* Makes the new stores, after checking that each may be one. From then on they are like the
 * others. */
static int add_places(struct copying *copying, const struct options *options, struct source *source)
{
    struct stores *stores = store_source_stores(source);
    cleanup_names struct names inputs = NO_NAMES, paths = NO_NAMES;

    int r = stores_real_paths(stores, &inputs);
    for (size_t i = 0; r == 0 && i < options->place_count; i++) {
        const char *path = options->places[i].path;
        r = copying_add(copying, path, options->places[i].index, &inputs);
        if (r == 0)
            r = names_add(&paths, path);
    }
    for (size_t i = 0; r == 0 && i < paths.count; i++)
        r = copying_make_directory(copying, names_get(&paths, i));
    return r < 0 || paths.count == 0 ? r : stores_add(stores, &paths);
}

/* Claims the stores, so that nothing removed in one empties another that is mounted in it. */
static int claim_stores(struct source *source)
{
    cleanup_names struct names paths = NO_NAMES;

    int r = stores_real_paths(store_source_stores(source), &paths);
    for (size_t i = 0; r == 0 && i < paths.count; i++)
        r = whereabouts_claim(names_get(&paths, i), WHEREABOUTS_WRITTEN);
    return r;
}

/* Gives stores the shares of --add; but a store that has a share keeps that. */
static int give_shares(const struct options *options, struct roster *roster)
{
    for (size_t i = 0; i < options->place_count; i++) {
        const struct place_for_share *place = &options->places[i];
        struct roster_entry *entry = NULL;
        for (size_t at = 0; !entry && at < roster->count; at++) {
            const struct store *store = roster->entries[at].store;
            /* a remote store is known only by its name */
            if (strcmp(store_name(store), place->path) == 0 ||
                (!store_is_remote(store) && store_is_at(store, place->path)))
                entry = &roster->entries[at];
        }
        if (!entry)
            return log_as(-ENOENT, "--add %02x=%s: cannot be opened", place->index, place->path);
        if (entry->share >= 0 && entry->share != place->index)
            return log_as(-EINVAL,
                          "--add %02x=%s: holds share %02x already; give another directory",
                          place->index, place->path, (uint8_t)entry->share);
        const struct mend_store holds = roster_entry_holds(entry);
        if (mend_is_alien(&holds))
            return log_as(
                -EINVAL,
                "--add %02x=%s: most files in it are in no other store, as if it were one "
                "of another tree; give another directory, or empty this one",
                place->index, place->path);
        entry->share = place->index;
        entry->added = true;
    }
    return 0;
}

/* Rule 7: leaves alone stores that may not belong to these. */
static void leave_other_files(const struct options *options, struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++) {
        struct roster_entry *entry = &roster->entries[i];
        const struct mend_store holds = roster_entry_holds(entry);
        if (entry->share < 0 || entry->added)
            continue;
        switch (mend_refuses_store(&roster->quorum, options->encoding.format, &holds)) {
        case MEND_WRITES:
            continue;
        case MEND_OTHER_K:
            log_error("store %s says k = %u, and most shares say %u: nothing is written there",
                      store_name(entry->store), entry->required, roster->quorum.commonest);
            break;
        case MEND_OTHER_TREE:
            log_error("store %s has mostly files that no other store has, as if it were one of "
                      "another tree: nothing is written there; take it out, or empty it",
                      store_name(entry->store));
            break;
        }
        roster_leave(entry);
    }
}

struct repairing {
    struct copying *copying;
    struct findings *findings;
    struct sending *sending; /* to the nodes of a set; NULL: repair writes to stores itself */
    bool filled;             /* a node without a store that was read was filled */
    atomic_uint refused, kept, lost, unverified, unconfirmed;
    struct keys_found keys;      /* of sealed shares */
    struct source *sealed;       /* the stores, if their shares are sealed, else NULL */
    struct unsealing *unsealing; /* with a key, else NULL */
};

static void hand_over(void *context, const char *path, const struct target *target, enum need need,
                      const struct seen *seen)
{
    sending_add(((struct repairing *)context)->sending, path, target, need, seen);
}

/* Reports a sealed name by its path in the source if there is a key. */
static void tell(const struct repairing *repairing, const struct copy_event *event)
{
    struct unsealer *unsealer =
        repairing->unsealing ? unsealing_unsealer(repairing->unsealing) : NULL;
    CLEANUP(sealed_name_clear) struct sealed_name name = {.path = NULL};
    struct copy_event shown = *event;

    if (unsealer && unsealer->look(unsealer, event->path, &name) == 0 && name.path)
        shown.path = name.path;
    copying_tell(repairing->copying, &shown);
}

static void report(void *context, const char *path, const struct inspection *inspection)
{
    struct repairing *repairing = context;

    findings_report(repairing->findings, path, inspection);
    if (repairing->sealed && S_ISDIR(inspection->status.st_mode) && !inspection->hidden)
        repairing->lost += (unsigned)findings_find_missing(repairing->findings, repairing->sealed,
                                                           repairing->unsealing, path);
}

static void failed(void *context, const char *path, int error)
{
    findings_failed(((struct repairing *)context)->findings, path, error);
}

/* What is handed over counts only when it has been sent. */
static void note_failure(void *context, const struct copy_event *event)
{
    struct repairing *repairing = context;

    if (event->kind == COPY_MADE && event->twin) { /* both names are sent, to be linked */
        sending_add(repairing->sending, event->twin, event->target, NEED_NOTHING, NULL);
        sending_add(repairing->sending, event->path, event->target, NEED_NOTHING, NULL);
    }
    if (event->kind != COPY_MADE && event->kind != COPY_TOUCHED && event->kind != COPY_REMOVED)
        tell(repairing, event);
}

static void note_event(void *context, const struct copy_event *event)
{
    struct repairing *repairing = context;
    const struct roster *roster = repairing->findings->roster;
    struct stat status;

    tell(repairing, event);
    for (size_t i = 0; event->target && i < roster->count; i++) {
        struct store_findings *store = &repairing->findings->stores[i];
        if (store_name(roster->entries[i].store) != event->target->name)
            continue;
        store->mended.touched += event->kind == COPY_TOUCHED;
        store->mended.names += event->kind == COPY_MADE;
        if (event->kind == COPY_MADE && tree_stat(event->target->tree, event->path, &status) == 0 &&
            S_ISREG(status.st_mode)) {
            store->mended.files++;
            store->mended.bytes += (uint64_t)status.st_size;
        }
    }
}

/* "new: made 5 files (200.0 kB) and 2 other names; gave 1 name its metadata" */
static void tell_mended(const struct store_findings *store)
{
    uint64_t names = store->mended.names, files = store->mended.files;
    uint64_t others = names - files, touched = store->mended.touched;
    struct draft line = {0};

    if (names == 0 && touched == 0)
        return;
    draft_add(&line, "%s:%s", store->name, names > 0 ? " made" : "");
    if (files > 0)
        draft_add(&line, " %s file%s (%s)%s", show_count(files).text, plural(files),
                  show_bytes(store->mended.bytes).text, others > 0 ? " and" : "");
    if (others > 0)
        draft_add(&line, " %s%s name%s", show_count(others).text, files > 0 ? " other" : "",
                  plural(others));
    if (touched > 0)
        draft_add(&line, "%s gave %s name%s the metadata of most stores", names > 0 ? ";" : "",
                  show_count(touched).text, plural(touched));
    output_draft(COLOUR_NONE, &line);
}

/* Reports what was made in each store, and from what. */
static void tell_made(const struct repairing *repairing)
{
    const struct findings *findings = repairing->findings;
    const unsigned unverified = repairing->unverified;

    for (size_t i = 0; !findings->options->dry_run && i < findings->roster->count; i++)
        tell_mended(&findings->stores[i]);
    if (repairing->keys.mended > 0)
        output_text(COLOUR_NONE, "%u store%s: share of the key made again", repairing->keys.mended,
                    plural(repairing->keys.mended));
    if (unverified > 0)
        output_text(COLOUR_WARNING,
                    "%s file%s %s unverified, from just as many blocks as are needed: check "
                    "--key proves %s",
                    show_count(unverified).text, plural(unverified),
                    findings->options->dry_run ? "would be rebuilt" : "rebuilt",
                    unverified == 1 ? "it" : "them");
}

static void add_left(struct draft *line, uint64_t count, const char *what, const char *left)
{
    if (count > 0)
        draft_add(line, "%s%s %s%s%s", line->out ? ", " : "", show_count(count).text, what,
                  plural(count), left);
}

/* Says whether everything is right now, or what is left to do. Returns true if it is. */
static bool tell_outcome(const struct repairing *repairing)
{
    const struct findings *findings = repairing->findings;
    const struct roster *roster = findings->roster;
    const atomic_ullong *counts = repairing->copying->counts;
    bool here[256] = {false};
    bool done = counts[COPY_MADE] > 0 || counts[COPY_TOUCHED] > 0 || repairing->keys.mended > 0;
    const struct quorum *quorum = &roster->quorum;
    uint64_t shares = repairing->filled, kept = repairing->kept, empty = 0, others = 0;
    struct draft left = {0};

    for (size_t i = 0; i < roster->count; i++) {
        const struct roster_entry *entry = &roster->entries[i];
        kept += findings->stores[i].kept_modes;
        empty += entry->empty && !entry->added;
        others += entry->left;
        shares += entry->share >= 0 && !here[entry->share];
        if (entry->share >= 0)
            here[entry->share] = true;
    }
    add_left(&left, repairing->lost, "name", " lost");
    add_left(&left, repairing->unconfirmed, "name", " not confirmed");
    add_left(&left, kept, "share", " kept as it was");
    add_left(&left, repairing->refused, "name", " not removed");
    add_left(&left, counts[COPY_FAILED] + counts[COPY_LOST] + findings->failed, "failure", "");
    add_left(&left, repairing->keys.lost, "key", " lost");
    add_left(&left, repairing->keys.contested, "key", " contested");
    if (!repairing->copying->options->dry_run)
        add_left(&left, repairing->keys.wrong - repairing->keys.mended, "key", " not written");
    add_left(&left, empty, "store", " empty");
    add_left(&left, others, "store", " left as it is");
    add_left(&left, roster->left_out, "store", " not opened");
    cleanup_free char *rest = left.out ? draft_take(&left) : NULL;
    if (rest)
        output_text(COLOUR_WARNING, "Not all is mended: %s", rest);
    else
        output_text(COLOUR_GOOD, "%s: every file can be restored from any %u of the %s shares%s",
                    done ? "All is mended" : "Nothing was wrong",
                    quorum->required > quorum->largest_k ? quorum->required : quorum->largest_k,
                    show_count(shares).text, done ? " again" : "");
    return !rest;
}

/* Forgets what check found of a replaced place, or, if IS_MENDED, of all. */
static void note_repair(const struct options *options, bool is_mended)
{
    cleanup_alarm struct alarm alarm = {.lock = -1};
    struct sets *sets;
    struct sync_set *set = set_stores_whole(options, &sets);

    if (!set || alarm_begin(set, &alarm) < 0)
        return;
    for (size_t i = 0; i < set->count; i++) {
        struct memory *memory = &set->nodes[i].memory;
        const bool is_new = options->replaced && strcmp(set->nodes[i].name, options->replaced) == 0;
        if (is_new || is_mended) {
            memory->bad = 0;
            memory->unread = 0;
        }
        if (is_new)
            memory->looked = 0;
        for (size_t slice = 0; slice < COUNT_OF(memory->read); slice++) {
            if (is_new || (is_mended && memory->read[slice] == SLICE_ILL))
                memory->read[slice] = 0;
        }
    }
    if (is_mended)
        set->watch.check = EXIT_STATUS_OK;
    alarm_raise(&alarm, set);
}

static enum exit_status repair_names(struct copying *copying, struct sending *sending,
                                     struct source *source, struct unsealing *unsealing,
                                     const struct roster *roster)
{
    CLEANUP(findings_end) struct findings findings;
    struct repairing repairing = {
        .copying = copying,
        .findings = &findings,
        .sending = sending,
        .sealed = store_source_is_sealed(source) ? source : NULL,
        .unsealing = unsealing,
    };
    const struct options *options = copying->options;
    atomic_ullong *counts = copying->counts;
    struct repair_settings settings = {
        .refused = &repairing.refused,
        .kept = &repairing.kept,
        .lost = &repairing.lost,
        .unverified = &repairing.unverified,
        .unconfirmed = &repairing.unconfirmed,
        .check = {.context = &repairing, .report = report, .failed = failed},
        .copy = copying->settings,
    };
    enum exit_status status = EXIT_STATUS_OK;
    bool left = false;

    if (findings_begin(&findings, options, roster) < 0)
        return EXIT_STATUS_FAILED;
    findings.has_key = unsealing;
    for (size_t i = 0; i < roster->count; i++)
        left |= roster->entries[i].left;
    settings.copy.context = &repairing;
    settings.copy.report = sending ? note_failure : note_event;
    settings.copy.dry_run |= sending != NULL;
    settings.hand_over = sending ? hand_over : NULL;
    for (size_t i = 0; options->remove && i < roster->count; i++) {
        if (!roster->entries[i].empty || roster->entries[i].added)
            continue;
        log_error("--delete: store %s holds nothing, nothing is removed: is it mounted?",
                  store_name(roster->entries[i].store));
        repairing.refused++;
    }
    int r = repair_run(source, roster, &settings, &copying->meter.progress);
    if (r == 0 && sending)
        r = sending_run(sending, &repairing, note_event, &repairing.filled, &repairing.keys);
    if (r == 0 && !sending && repairing.sealed)
        r = node_keys_settle(roster, !options->dry_run, &repairing.keys);
    r = copying_finish(copying, r);
    if (repairing.lost > 0 || counts[COPY_LOST] > 0 || repairing.keys.lost)
        status = EXIT_STATUS_LOST;
    else if (r < 0 || left || repairing.refused > 0 || findings.failed > 0 ||
             roster->left_out > 0 || counts[COPY_FAILED] > 0 || repairing.keys.contested ||
             (!options->dry_run && repairing.keys.wrong > repairing.keys.mended))
        status = EXIT_STATUS_FAILED;
    else if (counts[COPY_MADE] > 0 || counts[COPY_TOUCHED] > 0 || counts[COPY_REMOVED] > 0 ||
             findings.degraded > 0 || findings.foreign > 0 || roster_has_empty(roster) ||
             repairing.keys.wrong > 0)
        status = EXIT_STATUS_DAMAGED;
    findings_tell_rest(&findings);
    tell_made(&repairing);
    copying_summarize(copying, status);
    if (!options->dry_run)
        note_repair(options, r == 0 && tell_outcome(&repairing));
    return status;
}

enum exit_status repair_command(struct options *options)
{
    cleanup_source struct source *source = NULL;
    cleanup_roster struct roster roster = {0};
    cleanup_sending struct sending *sending = NULL;
    cleanup_unsealing struct unsealing *unsealing = NULL;
    struct copying copying;

    int r = take_stores(options, 0);
    if (r < 0)
        return status_of_stores(r);
    if (options->replaced && !set_stores_set(options)) {
        log_error("--replace: fills the place of a node of a set; give SET: as STORES");
        return EXIT_STATUS_USAGE;
    }
    if (copying_begin(&copying, options) < 0)
        return EXIT_STATUS_FAILED;
    if (set_stores_set(options) && sending_begin(&copying, &sending) < 0) {
        copying_end(&copying);
        return EXIT_STATUS_FAILED;
    }
    const struct share_terms terms = {.everything = true, .stop = &copying.meter.progress.stop};
    r = source_find_stores(options, terms, &source);
    if (r == 0)
        r = add_places(&copying, options, source);
    if (r == 0)
        r = source_hear_stores(options, source);
    if (r == 0)
        r = source_take_key(options, source, &unsealing);
    if (r == 0)
        r = claim_stores(source);
    if (r == 0 && (r = roster_make(source, options->jobs, &copying.meter.progress, &roster)) < 0 &&
        r != -ECANCELED)
        log_errno(r, "the stores");
    if (r == 0)
        r = give_shares(options, &roster);
    if (r == 0)
        leave_other_files(options, &roster);
    if (r == 0 && store_source_is_sealed(source))
        r = node_keys_leave_others(&roster);
    if (r == 0 && sending)
        sending_check(sending, &roster);
    for (size_t i = 0; r == 0 && !sending && i < roster.count; i++) {
        if (roster.entries[i].empty && !roster.entries[i].added)
            tell_empty_store(roster.entries[i].store);
    }
    if (r == 0 && !roster.quorum.given && roster.quorum.votes < roster.quorum.largest_k)
        r = log_as(-EPERM,
                   "%u stores take part, and shares of k = %u are in use: give --required to say "
                   "how many are needed",
                   roster.quorum.votes, roster.quorum.largest_k);
    enum exit_status status =
        r == 0 ? repair_names(&copying, sending, source, unsealing, &roster) : status_of_stores(r);
    copying_end(&copying);
    return status;
}
