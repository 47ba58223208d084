/* SPDX-License-Identifier: MIT */
/*
 * Which blocks to read for one stripe, and when they are enough. Whoever reads them asks which
 * copies to read next, reports what came of it, and at last takes k blocks of different shares
 * with one digest. Pure decisions, no I/O.
 *
 * A block that is intact may still be wrong (a stale or a hostile store), so blocks are grouped by
 * digest. A group counts where a share of the version (a member, or a nameless copy) is in it.
 * Groups that contradict each other are told apart by what they have in common with the shares
 * that other stripes of the same open file came from: a file is never put together from two
 * contents that claim to be one version.
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
    bool trusted; /* it agreed with the stripe of this open file that it was last compared with */
    int index;    /* of its share, 0..255, or GATHER_INDEX_UNKNOWN before a block says it */
    enum { BLOCK_UNREAD, BLOCK_ASKED, BLOCK_BAD, BLOCK_GOOD } block;
    uint8_t digest[HASH_SIZE]; /* of a good block; all zeros in formats without digests */
};

struct gather {
    unsigned required; /* k */
    size_t count;
    struct gather_copy *copies; /* in the order in which they are to be read; the caller's */
};

/*
 * The copies to read now, all at once: as many as are still missing, by all that is known. Marks
 * them as asked and returns how many; 0 where the blocks at hand are enough, or no more can come
 * (of those that are not asked already). PLACES has room for k of them.
 */
size_t gather_next(struct gather *gather, size_t places[]);

/* A block was read and is intact: whose it is, and its digest. */
void gather_good(struct gather *gather, size_t place, uint8_t index,
                 const uint8_t digest[HASH_SIZE]);

/* There is no good block in the copy. */
void gather_bad(struct gather *gather, size_t place);

/* As gather_next, but for all copies that are left, after a group turned out to hold a lie. */
size_t gather_rest(struct gather *gather, size_t places[], size_t room);

/*
 * The group to restore the stripe from: the places of its good blocks in reading order, of k or
 * more different shares; PLACES has room for all copies. With TWINS also second blocks of one
 * share, otherwise the first of each. The largest such group counts. -ENODATA where there is none;
 * -EBADMSG where two are equally large, or where more of the copies that the file came from until
 * now (two or more) agree on something else than are in it: further copies may settle that.
 */
int gather_select(const struct gather *gather, bool twins, size_t places[], size_t *ret_count);
