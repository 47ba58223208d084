/* SPDX-License-Identifier: MIT */
#include "engine/copy.h"

#include "base/clock.h"
#include "base/log.h"
#include "engine/item.h"
#include "engine/links.h"

/* Chooses and does what ITEM needs, unless it may be one more name of a file that was seen. */
static void run_item(struct item *item)
{
    struct copy_work *copy = item->copy;
    bool refused = copy->count > 0;

    if (copy->settings->owned && temporary_is_name(item->original.name)) {
        /* Leftovers of our interrupted runs in stores are removed: they are no further names of
         * a file. */
        item_choose(item, true);
        clean_unwanted(item);
        if (item_any_needs(item, NEED_REMOVAL))
            return;
    }
    int r = item->inodes.count > 0 ? links_add(copy->links, &item->inodes, item->original.path) : 1;
    if (r < 0)
        atomic_store(&copy->visit.result, r);
    if (r == 0) /* these come at the end */
        return;
    item_choose(item, false);
    clean_unwanted(item);
    for (const struct slot *slot = item->slots; slot < item->end; slot++)
        refused &= slot->need == NEED_REFUSED;
    if (!S_ISDIR(item->original.status.st_mode))
        update_name(item);
    else if (!refused && !item_any_needs(item, NEED_REMOVAL))
        directories_enter(item);
}

static void copy_name(struct visit *visit, const char *path, void *directories)
{
    struct copy_work *copy = (struct copy_work *)visit;
    cleanup_item struct item item = {.copy = copy};

    cleanup_free char *words = copy_describe(copy, path);
    progress_begin(visit->progress, words ? words : path);
    if (item_begin(copy, path, directories, &item) < 0 || item_look(&item) < 0)
        return;
    run_item(&item);
    if (S_ISREG(item.original.status.st_mode))
        progress_end(visit->progress, (uint64_t)item.original.status.st_size);
}

static void copy_last(struct visit *visit, const char *path)
{
    copy_name(visit, path, NULL);
}

static void copy_directory(struct visit *visit, const char *path, const struct names *names)
{
    struct copy_work *copy = (struct copy_work *)visit;

    for (size_t i = 0; i < copy->count; i++)
        clean_directory(copy, &copy->targets[i], path, names);
    alike_note(copy, path, names);
}

static void copy_failed(struct visit *visit, const char *path, int error)
{
    /* A file that describes a directory is not copied where the directory is gone meanwhile. */
    if (error != -ENOENT || *path == '\0' || visit->source->last)
        copy_tell((struct copy_work *)visit, COPY_LOST, path, NULL, error);
}

static const struct visit_operations operations = {
    .directory = copy_directory,
    .begin = copy_open_directories,
    .end = copy_close_directories,
    .name = copy_name,
    .last = copy_last,
    .failed = copy_failed,
};

/* How long a run waits for others that have its targets, and when it says so. */
enum {
    LOCK_LIMIT = 30 * CLOCK_SECOND,
    LOCK_SILENCE = CLOCK_SECOND,
    LOCK_STEP_NS = 20 * 1000 * 1000,
};

/*
 * Opens and locks all targets that can be had; reports why the others cannot, and goes on without
 * them. Waits for other runs, once for all targets: a run that was killed may hold a target until
 * the kernel has written out its files. Returns 0 if any target was had.
 */
static int begin_targets(const struct copy_work *copy, size_t *ret_begun)
{
    const struct timespec step = {.tv_nsec = LOCK_STEP_NS};
    uint64_t began = clock_now();
    bool told = false, any = copy->count == 0;
    int failed = 0, r;

    for (size_t i = 0; i < copy->count; i++, (*ret_begun)++) {
        struct target *target = &copy->targets[i];
        while ((r = target_begin(target, !copy->settings->dry_run)) == -EBUSY) {
            uint64_t waited = clock_now() - began;
            if (waited > LOCK_LIMIT || atomic_load(&copy->visit.progress->stop))
                return log_as(r, "%s: another run writes there; nothing was done", target->name);
            if (waited > LOCK_SILENCE && !told) {
                log_error("%s: another run writes there; waiting for it to end", target->name);
                told = true;
            }
            nanosleep(&step, NULL);
        }
        any |= r == 0;
        if (r == 0)
            continue;
        failed = r;
        target->root = -1;
        copy_close_target(copy, target, r);
    }
    return any ? 0 : failed;
}

static int run(struct copy_work *copy)
{
    cleanup_links struct links *links = NULL;

    int r = links_new(&links);
    if (r < 0)
        return r;
    copy->links = links;
    copy->visit.source->copied = true;
    directories_begin(copy);
    r = visit_run(&copy->visit, copy->settings->jobs);
    if (r < 0)
        atomic_store(&copy->visit.result, r);
    batch_commit(copy);
    links_make(copy);
    alike_end(copy);
    partials_end(copy);
    directories_end(copy);
    /* Names become durable before the run succeeds; files were written out before they got them. */
    for (size_t i = 0; i < copy->count && !copy->settings->dry_run; i++) {
        r = target_settle(&copy->targets[i]);
        if (r < 0)
            copy_tell(copy, COPY_FAILED, ".", &copy->targets[i], r);
    }
    r = atomic_load(&copy->visit.result);
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
        .batch = {.end = &copy.batch.first},
        .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    size_t begun = 0;

    int r = begin_targets(&copy, &begun);
    bool refused = r < 0;
    if (!refused)
        r = run(&copy);
    while (begun > 0)
        target_end(&targets[--begun], refused);
    return r;
}
