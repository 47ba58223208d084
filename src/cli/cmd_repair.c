/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include "base/log.h"
#include "cli/copying.h"
#include "cli/destination.h"
#include "cli/findings.h"
#include "cli/sources.h"
#include "engine/repair.h"

#include <limits.h>
#include <string.h>

/* The folder of the stores is no place for a new one, also if there are none in it. */
static int refuse_folder(const struct options *options, const char *path)
{
    const char *folder = options->source;
    cleanup_free char *place = NULL, *real = folder ? realpath(folder, NULL) : NULL;

    int r = destination_resolve(path, &place);
    if (r < 0)
        return log_errno(r, "%s: cannot be written to", path);
    if (!real || !destination_lies_in(real, place))
        return 0;
    log_error("%s: the stores lie in it, in %s; choose another place", path, folder);
    return -EINVAL;
}

/* Makes new stores, once each can be one: they are stores like the others. */
static int add_places(struct copying *copying, struct options *options, struct source *source)
{
    struct stores *stores = store_source_stores(source);
    cleanup_names struct names inputs = NO_NAMES, places = NO_NAMES;

    int r = stores_real_paths(stores, &inputs);
    for (size_t i = 0; r == 0 && i < options->place_count; i++) {
        const struct place_for_share *place = &options->places[i];
        r = refuse_folder(options, place->path);
        if (r == 0)
            r = copying_add(copying, place->path, place->index, &inputs);
        if (r == 0)
            r = names_add(&places, place->path);
    }
    for (size_t i = 0; r == 0 && i < places.count; i++)
        r = copying_make_directory(copying, names_get(&places, i));
    return r < 0 || places.count == 0 ? r : stores_add(stores, &places);
}

/* Of a remote store nothing but its name tells where it is, without asking it. */
static bool is_at(const struct store *store, const char *path)
{
    return strcmp(store_name(store), path) == 0 ||
           (!store_is_remote(store) && store_is_at(store, path));
}

static struct roster_entry *entry_at(struct roster *roster, const char *path)
{
    for (size_t i = 0; i < roster->count; i++) {
        if (is_at(roster->entries[i].store, path))
            return &roster->entries[i];
    }
    return NULL;
}

/* What --add says counts; but a share that is there already does not become another one. */
static int give_shares(const struct options *options, struct roster *roster)
{
    for (size_t i = 0; i < options->place_count; i++) {
        const struct place_for_share *place = &options->places[i];
        struct roster_entry *entry = entry_at(roster, place->path);
        if (!entry) {
            log_error("--add %02x=%s: cannot be opened", place->index, place->path);
            return -ENOENT;
        }
        if (entry->share >= 0 && entry->share != place->index) {
            log_error("--add %02x=%s: holds share %02x already; give another directory",
                      place->index, place->path, (uint8_t)entry->share);
            return -EINVAL;
        }
        entry->share = place->index;
        entry->added = true;
    }
    return 0;
}

static void tell_empty(const struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++) {
        if (roster->entries[i].empty && !roster->entries[i].added)
            tell_empty_store(roster->entries[i].store);
    }
}

static enum exit_status repair_status(const struct copying *copying,
                                      const struct findings *findings, unsigned lost,
                                      unsigned refused, int result)
{
    unsigned long long done = 0;

    if (lost > 0 || copying->counts[COPY_LOST] > 0)
        return EXIT_STATUS_LOST;
    if (refused > 0)
        return EXIT_STATUS_FAILED;
    if (result < 0 || findings->failed > 0 || findings->roster->left_out > 0 ||
        copying->counts[COPY_FAILED] > 0)
        return EXIT_STATUS_FAILED;
    done =
        copying->counts[COPY_MADE] + copying->counts[COPY_TOUCHED] + copying->counts[COPY_REMOVED];
    return done > 0 || findings->degraded > 0 || findings->foreign > 0 ||
                   roster_has_empty(findings->roster)
               ? EXIT_STATUS_DAMAGED
               : EXIT_STATUS_OK;
}

/* Returns 0 where it is safe to write; else says why it is not. */
static int check_votes(const struct options *options, const struct roster *roster)
{
    const struct quorum *quorum = &roster->quorum;

    if (!quorum->given && quorum->votes < quorum->largest_k) {
        log_error(
            "%u stores take part, and shares of k = %u are in use: give --required to say how "
            "many are needed",
            quorum->votes, quorum->largest_k);
        return -EPERM;
    }
    return 0;
}

/* Says why nothing is removed, where a store is empty: it looks like one that is not mounted. */
static unsigned refuse_removal(const struct options *options, const struct roster *roster)
{
    unsigned refused = 0;

    for (size_t i = 0; options->remove && i < roster->count; i++) {
        if (!roster->entries[i].empty || roster->entries[i].added)
            continue;
        log_error("--delete: store %s holds nothing, nothing is removed: is it mounted?",
                  store_name(roster->entries[i].store));
        refused++;
    }
    return refused;
}

static enum exit_status repair_names(struct copying *copying, struct source *source,
                                     const struct roster *roster)
{
    CLEANUP(findings_end) struct findings findings;
    const struct options *options = copying->options;
    atomic_uint refused = refuse_removal(options, roster), lost = 0;
    const struct repair_settings settings = {
        .refused = &refused,
        .lost = &lost,
        .check = {.context = &findings, .report = findings_report, .failed = findings_failed},
        .copy = copying->settings,
    };

    if (findings_begin(&findings, options, roster) < 0)
        return EXIT_STATUS_FAILED;
    int r = repair_run(source, roster, &settings, &copying->meter.progress);
    r = copying_finish(copying, r);
    enum exit_status status =
        repair_status(copying, &findings, atomic_load(&lost), atomic_load(&refused), r);
    copying_summarize(copying, status);
    return status;
}

enum exit_status repair_command(struct options *options)
{
    cleanup_source struct source *source = NULL;
    cleanup_roster struct roster roster = {0};
    enum exit_status status = EXIT_STATUS_FAILED;
    struct copying copying;

    if (take_stores(options, 0) < 0)
        return EXIT_STATUS_USAGE;
    if (copying_begin(&copying, options) < 0)
        return status;
    const struct share_terms terms = {.everything = true, .stop = &copying.meter.progress.stop};
    int r = source_find_stores(options, terms, &source);
    if (r == 0)
        r = add_places(&copying, options, source);
    if (r == 0)
        r = source_hear_stores(options, source);
    if (r == -ENODATA)
        status = EXIT_STATUS_LOST;
    if (r == 0 && (r = roster_make(source, options->jobs, &copying.meter.progress, &roster)) < 0 &&
        r != -ECANCELED)
        log_errno(r, "the stores");
    if (r == 0)
        r = give_shares(options, &roster);
    if (r == 0)
        tell_empty(&roster);
    if (r == 0)
        r = check_votes(options, &roster);
    if (r == 0)
        status = repair_names(&copying, source, &roster);
    else if (r == -EINVAL)
        status = EXIT_STATUS_USAGE;
    copying_end(&copying);
    return status;
}
