/* SPDX-License-Identifier: MIT */
#include "cli/fetching.h"

#include "base/log.h"
#include "cli/output.h"
#include "sync/run.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

struct fetch_run {
    struct fetching *fetchings;
    size_t count;
    const char *folder, *beneath;
    struct meter meter;
    struct transfer *transfers;
    struct run run;
};

static void look_at_meter(void *context)
{
    struct fetch_run *fetch = context;
    struct progress *progress = &fetch->meter.progress;
    struct counts done = {0};

    fetch->run.stop |= atomic_load(&progress->stop);
    for (size_t i = 0; i < fetch->count; i++) {
        done.files += fetch->transfers[i].done.files;
        done.bytes += fetch->transfers[i].done.bytes;
    }
    atomic_store(&progress->files, done.files);
    atomic_store(&progress->bytes, done.bytes);
}

static void transfer_happened(const struct transfer *transfer, enum transfer_event event)
{
    if (event == TRANSFER_FAILS_FOR_NOW)
        log_warning("%s/%s: %s; will be tried again", transfer->node->set, transfer->node->name,
                    transfer->reason);
}

static int prepare(struct fetch_run *fetch, size_t i)
{
    struct fetching *fetching = &fetch->fetchings[i];
    struct transfer *transfer = &fetch->transfers[i];
    cleanup_names struct names paths = NO_NAMES;

    *transfer = (struct transfer){
        .node = fetching->node, .task = TASK_FETCH, .happened = transfer_happened};
    if (asprintf(&fetching->path, "%s/%s", fetch->folder, fetching->node->name) < 0) {
        fetching->path = NULL;
        return -ENOMEM;
    }
    transfer->place = fetching->path;
    if (mkdir(fetching->path, 0700) < 0)
        return log_errno(-errno, "%s", fetching->path);
    if (!*fetch->beneath)
        return 0;
    if (asprintf(&transfer->list, "%s.list", fetching->path) < 0) {
        transfer->list = NULL;
        return -ENOMEM;
    }
    int r = names_add(&paths, fetch->beneath);
    return r == 0 ? fetching->node->mover->prepare(transfer, &paths) : r;
}

/* Fetches the shares, or in a dry run asks for their size. */
static int fetch_all(struct fetch_run *fetch, bool dry_run)
{
    for (size_t i = 0; i < fetch->count; i++) {
        struct transfer *transfer = &fetch->transfers[i];
        transfer->dry_run = dry_run;
        transfer->tries = 0;
        transfer->done = (struct counts){0};
        transfer->step = transfer->result == 0 ? TRANSFER_WAITING : TRANSFER_NONE;
    }
    run_transfers(&fetch->run);
    return fetch->run.stop ? -ECANCELED : 0;
}

/* Logs how much there is to fetch; refuses it if there is not enough room. */
static int tell_size(const struct fetch_run *fetch)
{
    struct statvfs room;
    struct counts all = {0};
    struct draft names = {0};

    for (size_t i = 0; i < fetch->count; i++) {
        const struct transfer *transfer = &fetch->transfers[i];
        if (transfer->result < 0)
            continue;
        draft_add(&names, "%s%s", all.files + all.bytes > 0 ? ", " : "", transfer->node->name);
        all.files += transfer->done.files;
        all.bytes += transfer->done.bytes;
    }
    cleanup_free char *list = draft_take(&names);
    const char *set = fetch->fetchings[0].node->set;
    if (!list || !*list)
        return list ? 0 : -ENOMEM;
    if (statvfs(fetch->folder, &room) < 0)
        return log_errno(-errno, "%s", fetch->folder);
    uint64_t free = (uint64_t)room.f_bavail * room.f_frsize;
    if (all.bytes > free)
        return log_as(-ENOSPC,
                      "%s: the share of %s would have to be fetched, %s, and %s has only %s free; "
                      "set TMPDIR to a directory with more",
                      set, list, show_bytes(all.bytes).text, fetch->folder, show_bytes(free).text);
    log_error("%s: fetching %s file%s, %s, from %s to %s, since an rsync daemon cannot be mounted",
              set, show_count(all.files).text, plural(all.files), show_bytes(all.bytes).text, list,
              fetch->folder);
    return 0;
}

static void set_whole(struct fetch_run *fetch)
{
    struct counts all = {0};

    for (size_t i = 0; i < fetch->count; i++) {
        all.files += fetch->transfers[i].done.files;
        all.bytes += fetch->transfers[i].done.bytes;
    }
    atomic_store(&fetch->meter.progress.all_files, all.files);
    atomic_store(&fetch->meter.progress.all_bytes, all.bytes);
}

int fetching_run(struct fetching *fetchings, size_t count, const char *folder, const char *beneath)
{
    struct fetch_run fetch = {
        .fetchings = fetchings,
        .count = count,
        .folder = folder,
        .beneath = beneath,
        .transfers = calloc(count, sizeof *fetch.transfers),
    };
    int r = fetch.transfers ? 0 : -ENOMEM;

    fetch.run = (struct run){.transfers = fetch.transfers,
                             .count = count,
                             .jobs = UINT_MAX,
                             .wake = -1,
                             .context = &fetch,
                             .look = look_at_meter};
    for (size_t i = 0; r == 0 && i < count; i++)
        r = prepare(&fetch, i);
    if (r == 0)
        r = meter_start(&fetch.meter, "fetch", "another run fetches it anew");
    if (r == 0) {
        r = fetch_all(&fetch, true);
        if (r == 0)
            r = tell_size(&fetch);
        set_whole(&fetch);
        if (r == 0)
            r = fetch_all(&fetch, false);
        meter_stop(&fetch.meter);
    }
    for (size_t i = 0; fetch.transfers && i < count; i++) {
        const struct transfer *transfer = &fetch.transfers[i];
        fetchings[i].result = transfer->result;
        memcpy(fetchings[i].reason, transfer->reason, sizeof transfer->reason);
        if (transfer->list)
            unlink(transfer->list);
        free(transfer->list);
    }
    free(fetch.transfers);
    return r;
}
