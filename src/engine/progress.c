/* SPDX-License-Identifier: MIT */
#include "engine/progress.h"

#include <string.h>

void progress_init(struct progress *progress)
{
    memset(progress, 0, sizeof *progress);
    pthread_mutex_init(&progress->lock, NULL);
}

void progress_clear(struct progress *progress)
{
    pthread_mutex_destroy(&progress->lock);
}

void progress_begin(struct progress *progress, const char *path)
{
    size_t length = strlen(path), room = sizeof progress->path - 1;

    pthread_mutex_lock(&progress->lock);
    strcpy(progress->path, length > room ? path + length - room : path);
    pthread_mutex_unlock(&progress->lock);
}

void progress_end(struct progress *progress, uint64_t bytes)
{
    atomic_fetch_add(&progress->files, 1);
    atomic_fetch_add(&progress->bytes, bytes);
}
