/* SPDX-License-Identifier: MIT */
/*
 * Threads that do jobs, jobs that bring more jobs, and teams: several threads for one thing that
 * takes a moment. What was put last is done first, so that few jobs wait while a tree is walked;
 * a team is helped before another job is begun.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool;

/* To be put first in a struct of the caller's. Whoever runs it frees it. */
struct job {
    void (*run)(struct job *job);
    struct job *next;
};

/* THREADS (1 or more) threads; fewer where no more can be had. Returns 0 or a negative errno. */
int pool_new(unsigned threads, struct pool **ret);

/* Any thread may put a job, also one that is doing one. */
void pool_put(struct pool *pool, struct job *job);

/* Waits until all jobs are done, those that were put meanwhile, too. */
void pool_wait(struct pool *pool);

/* No job may be left. */
void pool_free(struct pool *pool);

/*
 * Calls BODY in this thread, and in others that come in time, until all calls have returned: SIZE
 * at most. Each call is to take a part of what is to be done until nothing is left. The others are
 * threads of POOL that have nothing to do, and the caller may be one of its jobs. POOL NULL: they
 * are those of the process, 15 at most. To start a thread takes as long as some things take, so
 * these stay for the next team a while.
 */
void team_run(struct pool *pool, size_t size, void (*body)(void *context), void *context);

/*
 * Calls RUN with 0 .. COUNT - 1, each once, until one returns false: by a team of POOL, or (NULL)
 * in this thread alone. Returns when all are done that were begun.
 */
void pool_each(struct pool *pool, uint64_t count, bool (*run)(void *context, uint64_t i),
               void *context);

DEFINE_CLEANUP(struct pool *, pool_free)
#define cleanup_pool CLEANUP(cleanup_by_pool_free)
