/* SPDX-License-Identifier: MIT */
#include "engine/batch.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
    COUNT_MAX = 1000,
    SIZE_MAX_BYTES = 256 << 20,
};

struct batch {
    batch_clear *clear;
    batch_done *done;
    void *context;
    pthread_mutex_t lock;
    struct pending *first, **end;
    size_t count;
    uint64_t size;
};

int batch_new(batch_clear *clear, batch_done *done, void *context, struct batch **ret)
{
    struct batch *batch = calloc(1, sizeof *batch);

    if (!batch)
        return -ENOMEM;
    *batch = (struct batch){.clear = clear, .done = done, .context = context, .end = &batch->first};
    pthread_mutex_init(&batch->lock, NULL);
    *ret = batch;
    return 0;
}

void batch_free(struct batch *batch)
{
    pthread_mutex_destroy(&batch->lock);
    free(batch);
}

static struct pending *pending_new(const struct target *target, const char *temporary,
                                   const char *path, const struct seen *seen)
{
    struct pending *pending = calloc(1, sizeof *pending + strlen(path) + 1);
    const char *slash = strrchr(path, '/');

    if (!pending)
        return NULL;
    pending->target = target;
    pending->careful = seen;
    if (seen)
        pending->seen = *seen;
    strcpy(pending->temporary, temporary);
    strcpy(pending->path, path);
    pending->name_start = slash ? (size_t)(slash + 1 - path) : 0;
    return pending;
}

int batch_add(struct batch *batch, const struct target *target, const char *temporary,
              const char *path, mode_t kind, const struct seen *seen, uint64_t size, bool linked)
{
    struct pending *pending = pending_new(target, temporary, path, seen);
    if (!pending)
        return -ENOMEM;
    pending->kind = kind & S_IFMT;
    pending->linked = linked;
    pthread_mutex_lock(&batch->lock);
    *batch->end = pending;
    batch->end = &pending->next;
    batch->count++;
    batch->size += size;
    bool full = batch->count >= COUNT_MAX || batch->size >= SIZE_MAX_BYTES;
    pthread_mutex_unlock(&batch->lock);
    if (full)
        batch_commit(batch);
    return 0;
}

static struct pending *take_all(struct batch *batch)
{
    pthread_mutex_lock(&batch->lock);
    struct pending *first = batch->first;
    batch->first = NULL;
    batch->end = &batch->first;
    batch->count = 0;
    batch->size = 0;
    pthread_mutex_unlock(&batch->lock);
    return first;
}

/* A directory that names are given in, one after the other. */
struct opened {
    const char *path;
    size_t length;
    int fd;
};

static int open_directory_of(const struct pending *pending, struct opened *opened)
{
    size_t length = pending->name_start > 0 ? pending->name_start - 1 : 0;

    if (opened->fd >= 0 && opened->length == length &&
        memcmp(opened->path, pending->path, length) == 0)
        return 0;
    cleanup_free char *path = strndup(pending->path, length);
    if (!path)
        return -ENOMEM;
    cleanup_close_fd(&opened->fd);
    *opened = (struct opened){pending->path, length, -1};
    return tree_open_directory(pending->target->tree, path, &opened->fd);
}

static int rename_to(int directory, const struct pending *pending, const char *name)
{
    return renameat(directory, pending->temporary, directory, name) < 0 ? -errno : 0;
}

/* Notes whether something of another kind gives way; of what was seen that is known. */
static void note_kind(int directory, const char *name, struct pending *pending)
{
    struct stat status;

    if (!pending->careful)
        pending->seen.other_kind = fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                                   (status.st_mode & S_IFMT) != pending->kind;
}

/* Gives one its name, unless there is an ERROR already; what gets none is removed. */
static int give_name(const struct batch *batch, int directory, struct pending *pending, int error)
{
    const char *name = pending->path + pending->name_start;

    note_kind(directory, name, pending);
    if (error == 0 && pending->careful && !seen_is_there(directory, name, &pending->seen))
        error = -EBUSY;
    if (error == 0 && (error = rename_to(directory, pending, name)) == -EISDIR) {
        error = batch->clear(batch->context, pending->target, directory, pending->path);
        if (error == 0)
            error = rename_to(directory, pending, name);
    }
    if (error < 0 || pending->linked) /* rename leaves two names of one file as they are */
        unlinkat(directory, pending->temporary, 0);
    return error;
}

/* Gives all of one target their names, after an ERROR none. */
static void name_all(const struct batch *batch, struct pending *first, const struct target *target,
                     int error)
{
    struct opened opened = {.fd = -1};

    for (struct pending *pending = first; pending; pending = pending->next) {
        if (pending->target != target)
            continue;
        pending->error = open_directory_of(pending, &opened);
        if (pending->error < 0) /* once more: otherwise the temporary name stays */
            pending->error = open_directory_of(pending, &opened);
        if (pending->error == 0)
            pending->error = give_name(batch, opened.fd, pending, error);
    }
    cleanup_close_fd(&opened.fd);
}

/* Returns true if a pending one before it in the list is of the same target. */
static bool is_first_of_target(const struct pending *first, const struct pending *pending)
{
    while (first != pending && first->target != pending->target)
        first = first->next;
    return first == pending;
}

void batch_commit(struct batch *batch)
{
    struct pending *first = take_all(batch);

    for (struct pending *pending = first; pending; pending = pending->next) {
        const struct target *target = pending->target;
        if (is_first_of_target(first, pending))
            name_all(batch, first, target, target->device && syncfs(target->root) < 0 ? -errno : 0);
    }
    while (first) {
        struct pending *next = first->next;
        batch->done(batch->context, first);
        free(first);
        first = next;
    }
}
