/* SPDX-License-Identifier: MIT */
/*
 * One stripe being read: what is wanted, its blocks as far as they were read, and what is known of
 * the others.
 */
#pragma once

#include "restore/copies.h"
#include "trust/gather.h"

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

/*
 * Reads what gather asks for, all of it at once, and others where that takes long, until gather has
 * enough or no more can come. Returns 0, or a shortage of our own.
 */
int attempt_read_wanted(struct attempt *attempt);

/* Reads all blocks that are left, and waits for those that are late. Returns as above. */
int attempt_read_rest(struct attempt *attempt);

/*
 * Looks at the digests of members in local stores whose blocks were not read, and reads blocks
 * whose digest is not the one of the block at PLACE. Sets *RET to whether all members were looked
 * at. Returns 0 or -ENOMEM.
 */
int attempt_peek(struct attempt *attempt, size_t place, bool *ret);

/*
 * Decodes the stripe, to reading->data, from the good blocks at k PLACES. -EBADMSG where they are
 * not what its digest stands for; -EINVAL where two are of one share.
 */
int attempt_decode(const struct attempt *attempt, const size_t places[]);

/* Sets *RET to true if the good block at PLACE equals the one that the decoded stripe encodes to.
 */
int attempt_compare(const struct attempt *attempt, size_t place, bool *ret);

#define cleanup_attempt CLEANUP(attempt_clear)
