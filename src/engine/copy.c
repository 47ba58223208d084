/* SPDX-License-Identifier: MIT */
#include "engine/copy.h"

#include "base/clock.h"
#include "base/log.h"
#include "engine/clean.h"
#include "engine/directories.h"
#include "engine/linking.h"
#include "engine/update.h"

/* Returns true if it may be one more name of a file that was seen: these come at the end. */
static bool is_further_name(struct entry *entry)
{
    struct copy_work *copy = entry->copy;

    if (entry->inodes.count == 0)
        return false;
    int r = links_add(copy->links, &entry->inodes, entry->original.path);
    if (r < 0)
        atomic_store(&copy->result, r);
    return r == 0;
}

/* Takes out what an interrupted run of ours left in stores: that is no further name of a file. */
static bool is_swept(struct entry *entry)
{
    if (!entry->copy->settings->owned || !temporary_is_name(entry->original.name))
        return false;
    entry_choose(entry, true);
    clean_unwanted(entry);
    return entry_any_needs(entry, NEED_REMOVAL);
}

static void run_entry(struct copy_work *copy, const char *path, const int directories[])
{
    struct entry entry = {.copy = copy, .directories = directories, .original.path = path};
    cleanup_free enum need *needs = calloc(copy->count, sizeof *needs);

    progress_begin(copy->visit.progress, path);
    entry.needs = needs;
    int r = needs ? entry_look(&entry) : -ENOMEM;
    if (r < 0) {
        if (r != -ENOENT)
            copy_tell(copy, COPY_LOST, path, NULL, r);
    } else if (!is_swept(&entry) && !is_further_name(&entry)) {
        entry_choose(&entry, false);
        clean_unwanted(&entry);
        if (S_ISDIR(entry.original.status.st_mode) && !entry_any_needs(&entry, NEED_REMOVAL) &&
            !entry_is_refused(&entry))
            directories_enter(&entry);
        else if (!S_ISDIR(entry.original.status.st_mode))
            update_name(&entry);
    }
    if (r == 0 && S_ISREG(entry.original.status.st_mode))
        progress_end(copy->visit.progress, (uint64_t)entry.original.status.st_size);
    entry_clear(&entry);
}

static void run_copy_part(struct visit *visit, const char *path, const struct names *names,
                          size_t first, size_t end)
{
    struct copy_work *copy = (struct copy_work *)visit;
    int *directories = copy_open_directories(copy, path);

    if (!directories)
        atomic_store(&copy->result, -ENOMEM);
    for (size_t i = first; directories && i < end && !atomic_load(&visit->progress->stop); i++) {
        cleanup_free char *whole = visit_join(path, names_get(names, i));
        if (whole)
            run_entry(copy, whole, directories);
        else
            atomic_store(&copy->result, -ENOMEM);
    }
    copy_close_directories(copy, directories);
}

static void run_directory(struct visit *visit, const char *path, const struct names *names)
{
    const struct copy_work *copy = (struct copy_work *)visit;

    for (size_t i = 0; i < copy->count; i++)
        clean_directory(copy, &copy->targets[i], path, names);
}

static void run_failed(struct visit *visit, const char *path, int error)
{
    if (error != -ENOENT || *path == '\0')
        copy_tell((struct copy_work *)visit, COPY_LOST, path, NULL, error);
}

/* Names are durable before the run has succeeded: files were written out before they got theirs. */
static void settle_targets(const struct copy_work *copy)
{
    for (size_t i = 0; i < copy->count && !copy->settings->dry_run; i++) {
        int r = target_settle(&copy->targets[i]);
        if (r < 0)
            copy_tell(copy, COPY_FAILED, ".", &copy->targets[i], r);
    }
}

static void end_all(struct copy_work *copy)
{
    batch_commit(copy->batch);
    int r = linking_run(copy);
    if (r < 0)
        atomic_store(&copy->result, r);
    directories_end(copy);
    settle_targets(copy);
}

static int clear_way(void *context, const struct target *target, int directory, const char *path)
{
    return clean_way(context, target, directory, path);
}

/* Something got its name, or not. */
static void note_named(void *context, const struct pending *pending)
{
    if (pending->error < 0)
        copy_tell(context, COPY_FAILED, pending->path, pending->target, pending->error);
    else
        copy_tell_made(context, pending->path, pending->target, pending->seen.other_kind);
}

static const struct visit_operations operations = {
    .directory = run_directory,
    .part = run_copy_part,
    .failed = run_failed,
};

/* How long a run waits for others that have its targets, and when it says so. */
enum {
    LOCK_LIMIT = 30 * CLOCK_SECOND,
    LOCK_SILENCE = CLOCK_SECOND,
    LOCK_STEP_NS = 20 * 1000 * 1000,
};

struct patience {
    uint64_t began;
    bool told;
};

/* Returns false if the wait is over: all of it, or the run is to stop. */
static bool wait_for_lock(const struct copy_work *copy, const struct target *target,
                          struct patience *patience)
{
    const struct timespec step = {.tv_nsec = LOCK_STEP_NS};
    uint64_t waited = clock_now() - patience->began;

    if (waited > LOCK_LIMIT || atomic_load(&copy->visit.progress->stop))
        return false;
    if (waited > LOCK_SILENCE && !patience->told) {
        log_error("%s: another run writes there; waiting for it to end", target->name);
        patience->told = true;
    }
    nanosleep(&step, NULL);
    return true;
}

/*
 * Opens and locks TARGET. A run that was killed may have it until the kernel has written out what
 * that was waiting for. Reports why it cannot be opened.
 */
static int begin_target(const struct copy_work *copy, struct target *target,
                        struct patience *patience)
{
    int r;

    do
        r = target_begin(target, !copy->settings->dry_run);
    while (r == -EBUSY && wait_for_lock(copy, target, patience));
    if (r == -EBUSY) {
        log_error("%s: another run writes there; nothing was done", target->name);
    } else if (r < 0) {
        target->root = -1;
        copy_close_target(copy, target, r);
    }
    return r;
}

/* Begins all that can be; the others do not keep these from being written. */
static int begin_targets(const struct copy_work *copy, size_t *ret_begun)
{
    struct patience patience = {.began = clock_now()};
    bool any = copy->count == 0;
    int failed = 0;

    for (size_t i = 0; i < copy->count; i++, (*ret_begun)++) {
        int r = begin_target(copy, &copy->targets[i], &patience);
        if (r == -EBUSY)
            return r;
        any |= r == 0;
        failed = r < 0 ? r : failed;
    }
    return any ? 0 : failed;
}

static int run(struct copy_work *copy)
{
    cleanup_batch struct batch *batch = NULL;
    cleanup_links struct links *links = NULL;

    int r = batch_new(clear_way, note_named, copy, &batch);
    if (r == 0)
        r = links_new(&links);
    if (r < 0)
        return r;
    copy->batch = batch;
    copy->links = links;
    directories_begin(copy);
    r = visit_run(&copy->visit, copy->settings->jobs);
    end_all(copy);
    if (r == 0)
        r = atomic_load(&copy->result);
    return r == 0 && atomic_load(&copy->visit.progress->stop) ? -ECANCELED : r;
}

int copy_run(struct source *source, struct target targets[], size_t count,
             const struct copy_settings *settings, struct progress *progress)
{
    struct copy_work copy = {
        .visit = {.operations = &operations, .source = source, .progress = progress},
        .targets = targets,
        .count = count,
        .settings = settings,
    };
    size_t begun = 0;

    pthread_mutex_init(&copy.lock, NULL);
    int r = begin_targets(&copy, &begun);
    bool refused = r < 0;
    if (!refused)
        r = run(&copy);
    while (begun > 0)
        target_end(&targets[--begun], refused);
    pthread_mutex_destroy(&copy.lock);
    return r;
}
