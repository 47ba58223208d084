/* SPDX-License-Identifier: MIT */
/*
 * The reading of one stripe from the copies of its shares, by rules 5 and 6 of docs/design.md.
 * Readers of files, check and repair all do it here. Part of share_set.c.
 */
#pragma once

#include "restore/copies.h"

#include <pthread.h>

/* What an open file has learned of its contents; guarded by its lock. */
struct content_trust {
    bool contested; /* it gave a stripe that intact blocks contradicted */
    bool bound;     /* copies without a header were held against all versions */
    bool conflict;  /* a stripe has two contents with equal claims; the first such one: */
    uint64_t conflict_stripe;
};

struct stripe_reading {
    const char *path;                   /* for messages */
    const struct share_header *version; /* its index means nothing */
    unsigned needed;                    /* different shares that make a stripe */
    bool untimed;                       /* without checks: all copies have to agree */
    uint64_t stripe;
    struct copies *copies;
    pthread_mutex_t *lock; /* of what reading teaches about the copies, and of: */
    struct content_trust *trust;
    bool partial; /* stores may still bring more copies: nothing is to be settled without them */
    bool whole;   /* all blocks are read, whether they are needed or not */
    bool apart;   /* what other stripes were given does not matter */
    bool trial;   /* of a version that may not be the one: bad blocks are neither noted nor told */
    const atomic_bool *stop; /* as in share_terms */
    uint8_t *data;           /* room for k*u bytes; the stripe, where the result is 0 */
};

/*
 * Reads block after block until k of them give the stripe. Returns 0; -ENODATA where there are too
 * few good blocks; -ENOTUNIQ where two contents are in conflict, whose sides the copies have then;
 * -EBADMSG where blocks contradict each other otherwise and nothing settles it; -ETIMEDOUT where to
 * find that out takes too long; -EAGAIN where more copies are to be had before that is tried; or
 * another shortage.
 */
int stripe_reading_run(struct stripe_reading *reading);

/*
 * As stripe_reading_run, on an attempt that the caller starts and clears, so that it can examine
 * the blocks. Returns -ENODATA even where more copies are to be had.
 */
struct attempt;
int stripe_reading_try(struct attempt *attempt);
