/* SPDX-License-Identifier: MIT */
/* Walks a source with several threads, each directory before its contents. */
#pragma once

#include "engine/progress.h"
#include "view/source.h"

struct visit;

/* All functions are called by any of the threads. Paths as in source.h. */
struct visit_operations {
    /* A directory was listed; its names are sorted. May be NULL. */
    void (*directory)(struct visit *visit, const char *path, const struct names *names);

    /* Its names FIRST .. END - 1. To go into one, that calls visit_into. */
    void (*part)(struct visit *visit, const char *path, const struct names *names, size_t first,
                 size_t end);

    /* It could not be listed. */
    void (*failed)(struct visit *visit, const char *path, int error);
};

/* To be put first in a struct of the caller's. */
struct visit {
    const struct visit_operations *operations;
    struct source *source;
    struct progress *progress; /* it ends early where this says so */
    struct pool *pool;         /* its own, while it goes on; else NULL */
    atomic_int result;         /* its own */
};

/*
 * Visits the root and all beneath. JOBS threads; 0: one for each processor, or more where the
 * source is far away, since they wait for it most of the time. Returns 0 or a negative errno of its
 * own.
 */
int visit_run(struct visit *visit, unsigned jobs);

void visit_into(struct visit *visit, const char *path);

/* DIRECTORY/NAME, or NAME in the root; the caller frees it. NULL without memory. */
char *visit_join(const char *directory, const char *name);

/* The last name of PATH; that of the top is a dot. */
const char *visit_last_name(const char *path);
