/* SPDX-License-Identifier: MIT */
/*
 * All stripes of one file's shares, several at a time: what is lost, and what may still be. No
 * further than the longest copy reaches (rule 8 of docs/design.md): all behind it is lost.
 */
#pragma once

#include "base/pool.h"
#include "restore/share_set.h"

#include <stdatomic.h>

/* How much is looked at, and by whom. */
struct sweep_depth {
    double part;             /* of the blocks: 0 none, only headers; 1 all */
    uint64_t seed;           /* of the choice among them */
    const atomic_bool *stop; /* ends it early, with -ECANCELED */
    struct pool *pool;       /* whose idle threads help; NULL: none */
    atomic_uint_fast64_t
        *ahead;  /* while it goes on: bytes of the file that were looked at, or NULL */
    bool glance; /* the first stripe alone */
};

struct sweep {
    struct damage lost; /* stripes that cannot be restored */
    int spare;          /* by its worst stripe: stores that may be lost; below 0: it is lost now */
    uint64_t bytes;     /* of blocks that were read */
};

/*
 * Reads the blocks of all stripes, or of a random part of them as DEPTH says. The file must not be
 * empty. Records bad blocks as damage of SET's copies, and adds the rest to RESULT. Returns 0,
 * -ECANCELED, -ETIMEDOUT or a shortage.
 */
int sweep_run(struct share_set *set, const struct sweep_depth *depth, struct sweep *result);
