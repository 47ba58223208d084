/* SPDX-License-Identifier: MIT */
#include "cli/works.h"

#include "base/log.h"
#include "cli/copying.h"
#include "cli/findings.h"
#include "cli/output.h"
#include "cli/sources.h"
#include "tool/repair.h"

#include <limits.h>
#include <string.h>

static int check_words(struct work *work)
{
    size_t least = work->arguments.stores.count > 0 ? 0 : 1;

    if (work->word_count < least || work->word_count > 1) {
        log_error("repair: give STORES, the directory of the stores; see zfec-fs repair --help");
        return -EINVAL;
    }
    if (work->word_count == 0)
        return 0;
    work->arguments.source = strdup(work->words[0]);
    return work->arguments.source ? 0 : -ENOMEM;
}

/* New stores are stores like the others; their directories are made. */
static int add_places(struct work *work)
{
    for (size_t i = 0; i < work->place_count; i++) {
        const char *path = work->places[i].path;
        if (!work->dry_run && mkdir(path, 0777) < 0 && errno != EEXIST)
            return log_errno(-errno, "%s: cannot be made", path);
        int r = names_add(&work->arguments.stores, path);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Of a remote store nothing but its name tells where it is, without asking it. */
static bool is_at(const struct store *store, const char *path)
{
    return strcmp(store_name(store), path) == 0 ||
           (!store_is_remote(store) && store_is_at(store, path));
}

static struct roster_entry *entry_at(const struct roster *roster, const char *path)
{
    for (size_t i = 0; i < roster->count; i++) {
        if (is_at(roster->entries[i].store, path))
            return &roster->entries[i];
    }
    return NULL;
}

/* What --add says counts; but a share that is there already does not become another one. */
static int give_shares(const struct work *work, const struct roster *roster)
{
    for (size_t i = 0; i < work->place_count; i++) {
        const struct place_for_share *place = &work->places[i];
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
    }
    return 0;
}

static enum exit_status status_of(const struct copying *copying, const struct findings *findings,
                                  int result)
{
    unsigned long long done = 0;

    if (findings->lost > copying->counts[COPY_REMOVED] || copying->counts[COPY_LOST] > 0)
        return EXIT_STATUS_LOST;
    if (result < 0 || findings->failed > 0 || findings->roster->left_out > 0 ||
        copying->counts[COPY_FAILED] > 0)
        return EXIT_STATUS_FAILED;
    done =
        copying->counts[COPY_MADE] + copying->counts[COPY_TOUCHED] + copying->counts[COPY_REMOVED];
    return done > 0 || findings->degraded > 0 ? EXIT_STATUS_DAMAGED : EXIT_STATUS_OK;
}

static enum exit_status run(struct copying *copying, struct source *source,
                            const struct roster *roster)
{
    CLEANUP(findings_end) struct findings findings;
    const struct work *work = copying->work;
    const struct repair_settings settings = {
        .check = {.context = &findings, .report = findings_report, .failed = findings_failed},
        .copy = copying->settings,
    };

    if (findings_begin(&findings, work, roster) < 0)
        return EXIT_STATUS_FAILED;
    int r = repair_run(source, roster, &settings, &copying->meter.progress);
    if (r < 0 && r != -ECANCELED && r != -EBUSY)
        log_errno(r, "repair");
    enum exit_status status = status_of(copying, &findings, r);
    copying_summarize(copying, status);
    return status;
}

enum exit_status repair_command(struct work *work)
{
    cleanup_source struct source *source = NULL;
    cleanup_roster struct roster roster = {0};
    enum exit_status status = EXIT_STATUS_FAILED;
    struct copying copying;

    if (check_words(work) < 0)
        return EXIT_STATUS_USAGE;
    if (copying_begin(&copying, work) < 0)
        return status;
    int r = add_places(work);
    if (r == 0)
        r = source_of_stores_now(&work->arguments, &source);
    if (r == 0)
        r = roster_make(source, work->jobs, &copying.meter.progress, &roster);
    if (r == 0)
        r = give_shares(work, &roster);
    if (r == 0)
        status = run(&copying, source, &roster);
    else if (r == -EINVAL)
        status = EXIT_STATUS_USAGE;
    copying_end(&copying);
    return status;
}
