/* SPDX-License-Identifier: MIT */
/*
 * Threads that run jobs, which may add more jobs, and teams: several threads that share one short
 * task. The newest job runs first, so that few jobs wait while a tree is walked. Idle threads help
 * a team before they begin another job.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool;

/* The first member of a struct of the caller's. RUN frees it. */
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
 * Calls BODY in this thread and in idle threads of POOL that come in time, SIZE threads at most,
 * and waits until all calls have returned. Each call takes parts of the work until none is left.
 * The caller may be a job of POOL. If POOL is NULL, the helpers are up to 15 threads of the
 * process. They stay for a while, because starting a thread takes as long as some tasks.
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
