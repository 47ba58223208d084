/* SPDX-License-Identifier: MIT */
/* How far a run is, and whether it is to stop. Any thread may look. */
#pragma once

#include "base/lock.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

struct progress {
    atomic_bool stop; /* finish or undo what is under way, and begin nothing new */
    atomic_uint_fast64_t all_files, all_bytes; /* to do; 0 before that is known */
    atomic_uint_fast64_t files, bytes;         /* done */
    atomic_uint_fast64_t ahead;                /* bytes of what is begun and has not ended */
    pthread_mutex_t lock;                      /* of: */
    char path[256];                            /* the end of the one that was begun last */
};

#define NO_PROGRESS ((struct progress){.lock = PTHREAD_MUTEX_INITIALIZER})

/* Notes that work on PATH begins. */
static inline void progress_begin(struct progress *progress, const char *path)
{
    size_t length = strlen(path), room = sizeof progress->path - 1;
    HOLD(&progress->lock);

    strcpy(progress->path, length > room ? path + length - room : path);
}

/* Notes that it has ended, after BYTES bytes. */
static inline void progress_end(struct progress *progress, uint64_t bytes)
{
    atomic_fetch_add(&progress->files, 1);
    atomic_fetch_add(&progress->bytes, bytes);
}
