/* SPDX-License-Identifier: MIT */
/* How far a run is, for whoever wants to show it, and the wish that it end. Any thread may look. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct progress {
    atomic_bool stop; /* finish or undo what is under way, and begin nothing new */
    atomic_uint_fast64_t all_files, all_bytes; /* to do; 0 before that is known */
    atomic_uint_fast64_t files, bytes;         /* done */
    atomic_uint_fast64_t ahead;                /* bytes of what is begun and has not ended */
    pthread_mutex_t lock;                      /* of: */
    char path[256];                            /* the end of the one that was begun last */
};

void progress_init(struct progress *progress);
void progress_clear(struct progress *progress);

/* Note that work on PATH begins, and that it has ended after BYTES bytes. */
void progress_begin(struct progress *progress, const char *path);
void progress_end(struct progress *progress, uint64_t bytes);
