/* SPDX-License-Identifier: MIT */
/*
 * Files that are written and wait for their names. Each must be on disk before it gets its name.
 * That takes long one by one, so one sync serves many.
 */
#include "engine/item.h"

#include <fcntl.h>
#include <stdio.h>

enum {
    COUNT_MAX = 1000,
    SIZE_MAX_BYTES = 256 << 20,
};

/* One thing that waits for its name. */
struct pending {
    struct pending *next;
    struct target *target;
    char temporary[TEMPORARY_NAME_SIZE];
    bool careful; /* only what was seen may give way: */
    struct seen seen;
    bool linked;       /* the temporary name may be one of the file that is there */
    mode_t kind;       /* S_IFREG, ... */
    int error;         /* how taking its name failed; 0: it did not */
    size_t name_start; /* of its last part in: */
    char path[];
};

int batch_add(const struct item *item, const struct slot *slot, const char *path, uint64_t size,
              bool linked)
{
    struct pending *pending = calloc(1, sizeof *pending + strlen(path) + 1);
    struct batch *batch = &item->copy->batch;
    const char *slash = strrchr(path, '/');
    bool full;

    if (!pending)
        return -ENOMEM;
    pending->target = slot->target;
    pending->careful = slot->seen;
    if (slot->seen)
        pending->seen = *slot->seen;
    pending->linked = linked;
    pending->kind = item->original.status.st_mode & S_IFMT;
    pending->name_start = slash ? (size_t)(slash + 1 - path) : 0;
    strcpy(pending->temporary, slot->temporary);
    strcpy(pending->path, path);
    {
        HOLD(&item->copy->lock);
        *batch->end = pending;
        batch->end = &pending->next;
        batch->size += size;
        full = ++batch->count >= COUNT_MAX || batch->size >= SIZE_MAX_BYTES;
    }
    if (full)
        batch_commit(item->copy);
    return 0;
}

/* Opens the directory of PENDING to *FD, unless that is open already for LAST, which is in it. */
static int open_directory_of(const struct pending *pending, const struct pending *last, int *fd)
{
    size_t start = pending->name_start;

    if (last && *fd >= 0 && last->name_start == start &&
        memcmp(last->path, pending->path, start) == 0)
        return 0;
    cleanup_free char *path = strndup(pending->path, start > 0 ? start - 1 : 0);
    if (!path)
        return -ENOMEM;
    cleanup_close_fd(fd);
    *fd = -1;
    return tree_open_directory(pending->target->tree, path, fd);
}

static int rename_to(int directory, const struct pending *pending, const char *name)
{
    return renameat(directory, pending->temporary, directory, name) < 0 ? -errno : 0;
}

/* Gives one file its name, unless there is an ERROR already; a file without a name is removed. */
static int give_name(const struct copy_work *copy, int directory, struct pending *pending,
                     int error)
{
    const char *name = pending->path + pending->name_start;
    struct stat status;

    if (!pending->careful) /* of what was seen that is known */
        pending->seen.other_kind = fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                                   (status.st_mode & S_IFMT) != pending->kind;
    else if (error == 0 && !seen_is_there(directory, name, &pending->seen))
        error = -EBUSY;
    if (error == 0 && (error = rename_to(directory, pending, name)) == -EISDIR) {
        error = clean_way(copy, pending->target, directory, pending->path);
        if (error == 0)
            error = rename_to(directory, pending, name);
    }
    if (error < 0 || pending->linked) /* rename leaves two names of one file as they are */
        unlinkat(directory, pending->temporary, 0);
    return error;
}

/* Writes out one target, and gives all its files their names; if that fails, none of them. */
static void name_in_target(const struct copy_work *copy, struct pending *first,
                           const struct target *target)
{
    const struct pending *last = NULL;
    cleanup_fd int directory = -1;
    bool settled = false;
    int r = 0;

    for (struct pending *pending = first; pending; pending = pending->next) {
        if (pending->target != target)
            continue;
        if (!settled)
            r = target_settle(target);
        settled = true;
        pending->error = open_directory_of(pending, last, &directory);
        if (pending->error < 0) /* once more: otherwise the temporary name stays */
            pending->error = open_directory_of(pending, last, &directory);
        if (pending->error == 0)
            pending->error = give_name(copy, directory, pending, r);
        last = pending;
    }
}

void batch_commit(struct copy_work *copy)
{
    struct batch *batch = &copy->batch;
    struct pending *first;

    {
        HOLD(&copy->lock);
        first = batch->first;
        batch->first = NULL;
        batch->end = &batch->first;
        batch->count = 0;
        batch->size = 0;
    }
    for (size_t i = 0; first && i < copy->count; i++)
        name_in_target(copy, first, &copy->targets[i]);
    while (first) {
        cleanup_free struct pending *pending = first;
        first = pending->next;
        if (pending->error < 0)
            copy_tell(copy, COPY_FAILED, pending->path, pending->target, pending->error);
        else
            copy_tell_made(copy, pending->path, pending->target, pending->seen.other_kind);
    }
}
