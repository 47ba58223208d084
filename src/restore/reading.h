/* SPDX-License-Identifier: MIT */
/*
 * The reading of one stripe from the copies of its shares, by rules 5 and 6 of docs/design.md.
 * Readers of files, check and repair all do it here.
 */
#pragma once

#include "restore/copies.h"
#include "trust/gather.h"

#include <pthread.h>

/* What an open file has learned of its contents; guarded by its lock. */
struct content_trust {
    bool contested; /* it gave a stripe that intact blocks contradicted */
    bool bound;     /* copies without a header were held against all versions */
    bool missed;    /* a store did not answer in time when copies were held against versions */
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
    bool trial;   /* of a version that may not be the one: bad blocks are not noted */
    /* binding_run, which reads by the functions below. */
    int (*bind)(const struct stripe_reading *reading);
    const atomic_bool *stop; /* as in share_terms */
    uint8_t *data;           /* room for k*u bytes; the stripe, where the result is 0 */
};

static inline bool stripe_reading_is_stopped(const struct stripe_reading *reading)
{
    return reading->stop && atomic_load(reading->stop);
}

/* A reading under way: which blocks were read, and what came of them. */
struct attempt {
    const struct stripe_reading *reading;
    struct gather gather;
    struct copy **copies;  /* in reading order: gather's places are places here */
    struct buffer *blocks; /* of each copy; a good one where gather says so */
    struct round *round;   /* of the blocks that are asked for, and what comes of each copy's: */
    struct block_read *reads;
    bool contested;    /* only trusted copies count, as the open file gave a contradicted stripe */
    bool missed;       /* a store did not answer in time: it may have what is missing */
    int shortage;      /* of our own, which kept a block from being read; 0: none */
    int spare;         /* without checks: right values that may be missing, as solve.h has it */
    uint64_t patience; /* for an answer, until another store is asked as well */
};

/* Starts with what is known of the copies from other stripes. Clear RET in any case. */
int attempt_start(struct attempt *ret, const struct stripe_reading *reading);

void attempt_clear(struct attempt *attempt);

/* Reads all blocks that are left, and waits for those that are late. Returns 0 or a shortage. */
int attempt_read_rest(struct attempt *attempt);

/*
 * Reads block after block until k of them give the stripe. Returns 0; -ENODATA where there are too
 * few good blocks; -ENOTUNIQ where two contents are in conflict, whose sides the copies have then;
 * -EBADMSG where blocks contradict each other otherwise and nothing settles it; -ETIMEDOUT where
 * the search for that takes too long; -ETIME where a store that did not answer in time may have
 * what is missing; -EAGAIN where more copies are to be had before that is tried; or another
 * shortage.
 */
int attempt_restore(struct attempt *attempt);

/* The same from start to end. -EAGAIN also for -ENODATA and -ETIME where more copies are to be had.
 */
int stripe_read(const struct stripe_reading *reading);

#define cleanup_attempt CLEANUP(attempt_clear)
