/* SPDX-License-Identifier: MIT */
/* Walks a source with several threads, each directory before its contents. */
#pragma once

#include "engine/progress.h"
#include "view/source.h"

struct visit;

/* Any thread may call these, and at once; NULL: there is nothing to do. Paths as in source.h. */
struct visit_operations {
    /* A directory was listed; its names are sorted. */
    void (*directory)(struct visit *visit, const char *path, const struct names *names);

    /*
     * One thread visits some names of a directory: begin's result is passed to name, then to end.
     */
    void *(*begin)(struct visit *visit, const char *path);
    void (*end)(struct visit *visit, void *part);

    /* A name. To go into a directory, call visit_into. */
    void (*name)(struct visit *visit, const char *path, void *part);

    /* PATH, the name that the source has last in its directory: all others are done. */
    void (*last)(struct visit *visit, const char *path);

    /* It could not be listed. */
    void (*failed)(struct visit *visit, const char *path, int error);
};

/* To be put first in a struct of the caller's. */
struct visit {
    const struct visit_operations *operations;
    struct source *source;
    struct progress *progress; /* the visit ends early where this says so */
    struct pool *pool;         /* its own, while it goes on; else NULL */
    atomic_int result;         /* 0; any error set here ends the visit */
};

/*
 * Visits the root and all beneath. JOBS threads; 0: one for each processor, or more where the
 * source is far away, since they wait for it most of the time. Returns the result.
 */
int visit_run(struct visit *visit, unsigned jobs);

void visit_into(struct visit *visit, const char *path);

/* Returns DIRECTORY/NAME, or NAME in the root; the caller frees it. NULL without memory. */
char *visit_join(const char *directory, const char *name);

/* Returns the last name of PATH; that of the top is a dot. */
const char *visit_last_name(const char *path);
