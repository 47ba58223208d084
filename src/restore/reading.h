/* SPDX-License-Identifier: MIT */
/*
 * Reads a file's stripes from the copies of its shares, by rules 5 and 6 of docs/design.md. Readers
 * of files, check and repair all use it (rule 9).  A block that is missing, cut off, unreadable,
 * corrupt or misplaced is one erasure in one stripe; the other blocks of that share are still used.
 * As long as some k stores have an intact block of the version for a stripe, the stripe is restored
 * exactly; otherwise reading it is an error.
 */
#pragma once

#include "restore/copies.h"
#include "share/stripe.h"
#include "trust/gather.h"

/*
 * Restores stripe t < T into DATA, which has room for k*u bytes. In the checked format the result
 * matches its DIGEST; in the sealed one it is what OPENER proves and opens or, without, the sealed
 * stripe that the set's prover proves, or else that all blocks of one DIGEST agree on; in the
 * others it is the one solution by rule 6. If stores that are late could help, they are waited for.
 * Returns 0; -EIO (the log says why); -ETIMEDOUT; or a shortage. Any thread may call it.
 */
int stripe_read(struct share_set *set, uint64_t stripe, const struct stripe_opener *opener,
                uint8_t *data, uint8_t digest[HASH_SIZE]);

/* How a stripe is read otherwise. */
enum reading_mode {
    READ_WHOLE = 1,  /* all blocks, whether they are needed or not */
    READ_APART = 2,  /* which stripes were returned before does not matter */
    READ_TRIAL = 4,  /* of a version that may not be the right one: bad blocks are not noted */
    READ_SEALED = 8, /* a sealed stripe stays so: the set's prover, where it has one, proves it */
};

/* A reading under way: which blocks were read, with their results. */
struct attempt {
    struct share_set *set;
    uint64_t stripe;
    uint8_t *data;                      /* room for k*u bytes; the stripe, where the result is 0 */
    unsigned mode;                      /* of enum reading_mode */
    const struct share_layout *layout;  /* of the version */
    bool checked, sealed;               /* its format has checks, is sealed */
    uint8_t digest[HASH_SIZE];          /* of the stripe, then */
    const struct stripe_opener *opener; /* of a sealed format; NULL: nothing proves the stripe */
    struct buffer proof;                /* room for what it opens with READ_SEALED */
    bool partial; /* stores may still have more copies: nothing is to be settled without them */
    struct gather gather;
    struct copy **copies;  /* in reading order: gather's places are places here */
    struct buffer *blocks; /* of each copy; a good one where gather says so */
    struct round *round;   /* of the blocks that are asked for, and each copy's answer: */
    struct task **reads;
    bool contested;    /* only trusted copies count, as a contradicted stripe was returned */
    bool missed;       /* a store did not answer in time: it may have what is missing */
    int shortage;      /* a shortage of ours that kept a block from being read; 0: none */
    int spare;         /* without checks: right values that may be missing, as solve.h has it */
    uint64_t patience; /* for an answer, until another store is asked as well */
};

/* Starts with what is known of the copies from other stripes. Clear RET in any case. */
int attempt_start(struct attempt *ret, struct share_set *set, uint64_t stripe, uint8_t *data,
                  unsigned mode);

void attempt_clear(struct attempt *attempt);

/* Reads all blocks that are left, and waits for those that are late. Returns 0 or a shortage. */
int attempt_read_rest(struct attempt *attempt);

/*
 * Reads block after block until k of them give the stripe. Returns 0; -ENODATA where there are too
 * few good blocks; -ENOTUNIQ where two contents are in conflict, whose sides the copies have then;
 * -EKEYREJECTED where the opener proves none; -EBADMSG where blocks contradict each other otherwise
 * and nothing settles it; -ETIMEDOUT where
 * the search for that takes too long; -ETIME where a store that did not answer in time may have
 * what is missing; -EAGAIN where more copies are to be had before that is tried; or another
 * shortage.
 */
int attempt_restore(struct attempt *attempt);

/* Notes and logs that a stripe is lost by an ERROR of attempt_restore, unless that is a shortage;
 * returns what stripe_read does then. */
int stripe_lose(struct share_set *set, uint64_t stripe, int error);

#define cleanup_attempt CLEANUP(attempt_clear)
