/* SPDX-License-Identifier: MIT */
#include "tool/copy.h"

#include "base/log.h"
#include "tool/clean.h"
#include "tool/directories.h"
#include "tool/linking.h"
#include "tool/update.h"

/* Whether it may be one more name of a file that was seen: these come at the end. */
static bool is_further_name(struct entry *entry)
{
    struct copy *copy = entry->copy;

    if (entry->inodes.count == 0)
        return false;
    int r = links_add(copy->links, &entry->inodes, entry->original.path);
    if (r < 0)
        atomic_store(&copy->result, r);
    return r == 0;
}

static void run_entry(struct copy *copy, const char *path, const int directories[])
{
    struct entry entry = {.copy = copy, .directories = directories, .original.path = path};
    cleanup_free enum need *needs = calloc(copy->count, sizeof *needs);

    progress_begin(copy->visit.progress, path);
    entry.needs = needs;
    int r = needs ? entry_look(&entry) : -ENOMEM;
    if (r < 0) {
        if (r != -ENOENT)
            copy_tell(copy, COPY_LOST, path, NULL, r);
    } else if (!is_further_name(&entry)) {
        entry_choose(&entry, false);
        clean_unwanted(&entry);
        if (S_ISDIR(entry.original.status.st_mode) && !entry_any_needs(&entry, NEED_REMOVAL))
            directories_enter(&entry);
        else if (!S_ISDIR(entry.original.status.st_mode))
            update_name(&entry);
    }
    if (r == 0 && S_ISREG(entry.original.status.st_mode))
        progress_end(copy->visit.progress, (uint64_t)entry.original.status.st_size);
    entry_clear(&entry);
}

static void run_part(struct visit *visit, const char *path, const struct names *names, size_t first,
                     size_t end)
{
    struct copy *copy = (struct copy *)visit;
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
    const struct copy *copy = (struct copy *)visit;

    for (size_t i = 0; i < copy->count; i++)
        clean_directory(copy, &copy->targets[i], path, names);
}

static void run_failed(struct visit *visit, const char *path, int error)
{
    if (error != -ENOENT || *path == '\0')
        copy_tell((struct copy *)visit, COPY_LOST, *path ? path : ".", NULL, error);
}

static void end_all(struct copy *copy)
{
    batch_commit(copy->batch);
    int r = linking_run(copy);
    if (r < 0)
        atomic_store(&copy->result, r);
    directories_end(copy);
}

/* Something got its name, or not. */
static void note_named(void *context, const struct pending *pending)
{
    copy_tell(context, pending->error < 0 ? COPY_FAILED : COPY_MADE, pending->path, pending->target,
              pending->error);
}

static const struct visit_operations operations = {
    .directory = run_directory,
    .part = run_part,
    .failed = run_failed,
};

static int begin_targets(const struct copy *copy, size_t *ret_begun)
{
    for (size_t i = 0; i < copy->count; i++) {
        int r = target_begin(&copy->targets[i], !copy->settings->dry_run);
        if (r < 0)
            return log_errno(r,
                             r == -EBUSY ? "%s: another run writes there, wait for it"
                                         : "%s: cannot be written to",
                             copy->targets[i].name);
        (*ret_begun)++;
    }
    return 0;
}

static int run(struct copy *copy)
{
    cleanup_batch struct batch *batch = NULL;
    cleanup_links struct links *links = NULL;

    int r = batch_new(copy->settings->remove, note_named, copy, &batch);
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
    struct copy copy = {
        .visit = {.operations = &operations, .source = source, .progress = progress},
        .targets = targets,
        .count = count,
        .settings = settings,
    };
    size_t begun = 0;

    pthread_mutex_init(&copy.lock, NULL);
    int r = begin_targets(&copy, &begun);
    if (r == 0)
        r = run(&copy);
    while (begun > 0)
        target_end(&targets[--begun]);
    pthread_mutex_destroy(&copy.lock);
    return r;
}
