/* SPDX-License-Identifier: MIT */
/*
 * Which blocks to read for one stripe, and when they are enough. Whoever reads them asks which
 * copies to read next, reports what came of it, and at last takes k blocks of different shares
 * with one digest. Pure decisions, no I/O.
 *
 * A block that is intact may still be wrong (a stale or a hostile store), so blocks are grouped by
 * digest. A group counts where a share of the version (a member, or a nameless copy) is in it.
 * Where groups contradict each other, contest.h chooses.
 */
#pragma once

#include "choice/version.h"
#include "share/hash.h"

enum {
    GATHER_INDEX_UNKNOWN = -1,
};

/* What one copy has for the stripe. */
struct gather_copy {
    enum copy_role role;
    bool trusted; /* it agreed with every stripe that the open file has given */
    int index;    /* of its share, 0..255, or GATHER_INDEX_UNKNOWN before a block says it */
    enum { BLOCK_UNREAD, BLOCK_ASKED, BLOCK_LATE, BLOCK_BAD, BLOCK_GOOD } block;
    uint8_t digest[HASH_SIZE]; /* of a good block; all zeros in formats without digests */
};

struct gather {
    unsigned required; /* k */
    bool begun;        /* the open file has given other stripes */
    size_t count;
    struct gather_copy *copies; /* in the order in which they are to be read; the caller's */
};

/*
 * The copies to read now, all at once: as many as are still missing, by all that is known. Marks
 * them as asked and returns how many; 0 where the blocks at hand are enough, or no more can come
 * (of those that are not asked already). k shares are not enough where none of them is trusted
 * though the file has begun: then all are read. PLACES has room for k of them.
 */
size_t gather_next(struct gather *gather, size_t places[]);

/* A block was read and is intact: whose it is, and its digest. */
void gather_good(struct gather *gather, size_t place, uint8_t index,
                 const uint8_t digest[HASH_SIZE]);

/* The block was asked for and takes long: another one is to be asked for, which may come before. */
void gather_late(struct gather *gather, size_t place);

/* Whether the blocks at hand are not enough, and blocks that were asked for may still come. */
bool gather_waits(const struct gather *gather);

/* There is no good block in the copy. */
void gather_bad(struct gather *gather, size_t place);

/* As gather_next, but for all copies that are left. */
size_t gather_rest(struct gather *gather, size_t places[], size_t room);

/* Whether no two copies that may speak for the version contradict each other. */
bool gather_agrees(const struct gather *gather);

/*
 * How many different shares have a good block with this digest; 0 where none of them may speak for
 * the version. And how many have one in a trusted copy that may.
 */
unsigned gather_count(const struct gather *gather, const uint8_t digest[HASH_SIZE]);
unsigned gather_count_trusted(const struct gather *gather, const uint8_t digest[HASH_SIZE]);

/* A place of the largest group; -ENODATA where it has fewer than k shares. */
int gather_find(const struct gather *gather, size_t *ret_place);

/*
 * The places of the good blocks that have the digest of the one at PLACE, in reading order, and
 * how many; PLACES has room for all copies. With TWINS also second blocks of one share, otherwise
 * the first of each.
 */
size_t gather_list(const struct gather *gather, size_t place, bool twins, size_t places[]);
