/* SPDX-License-Identifier: MIT */
/*
 * Threads that do jobs, and jobs that bring more jobs. What was put last is done first, so that
 * few jobs wait while a tree is walked.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
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

/*
 * Calls RUN with 0 .. COUNT - 1, each once: in this thread, and in those of the pool that have
 * nothing better to do (POOL NULL: there are none), until one returns false. The caller may be one
 * of its jobs. Returns when all are done that were begun.
 */
void pool_each(struct pool *pool, uint64_t count, bool (*run)(void *context, uint64_t i),
               void *context);

/* Waits until all jobs are done, those that were put meanwhile, too. */
void pool_wait(struct pool *pool);

/* No job may be left. */
void pool_free(struct pool *pool);

DEFINE_CLEANUP(struct pool *, pool_free)
#define cleanup_pool CLEANUP(cleanup_by_pool_free)
