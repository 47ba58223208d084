/* SPDX-License-Identifier: MIT */
/*
 * Rule 5 of docs/design.md: which blocks to read for one stripe, and which of them are the stripe.
 * The caller asks which copies to read next, reports what came of it, and takes k blocks of
 * different shares with one digest. Pure decisions, no I/O.
 *
 * Blocks are grouped by digest. A group counts where a copy of the version is in it: a member, or
 * one without a header that is bound to it. Two such groups contradict each other.
 */
#pragma once

#include "share/block.h"
#include "trust/version.h"

enum {
    GATHER_INDEX_UNKNOWN = -1,
};

/* What one copy has for the stripe. */
struct gather_copy {
    enum copy_role role;
    bool bound;   /* it has no header, and is of the version all the same */
    bool trusted; /* it agreed with every contradicted stripe that the open file gave, if any */
    int index;    /* of its share, 0..255, or GATHER_INDEX_UNKNOWN before a block says it */
    enum { BLOCK_UNREAD, BLOCK_ASKED, BLOCK_LATE, BLOCK_BAD, BLOCK_GOOD } block;
    uint8_t digest[HASH_SIZE]; /* of a good block; all zeros in formats without digests */
};

struct gather {
    unsigned needed; /* different shares that make a stripe */
    size_t count;
    struct gather_copy *copies; /* in the order in which they are to be read; the caller's */
};

/*
 * Marks as asked, and lists in PLACES (room for NEEDED), the copies to read now, as many as are
 * missing. Returns how many; 0 where the good blocks and those asked for may be enough, or no
 * useful copy is left.
 */
size_t gather_next(struct gather *gather, size_t places[]);

/* As gather_next, for all copies that are left. */
size_t gather_rest(struct gather *gather, size_t places[], size_t room);

/* Notes that the block is intact, whose it is, and its digest. */
void gather_good(struct gather *gather, size_t place, uint8_t index,
                 const uint8_t digest[HASH_SIZE]);

/* Notes that the block takes long: another one is to be asked for, which may come before. */
void gather_late(struct gather *gather, size_t place);

/* Notes that there is no good block in the copy. */
void gather_bad(struct gather *gather, size_t place);

/* Returns true if the blocks at hand are not enough, and others that were asked for may come. */
bool gather_waits(const struct gather *gather);

/* Returns true if two groups that count contradict each other. */
bool gather_is_contradicted(const struct gather *gather);

/*
 * Sets *RET_PLACE to a block of the largest group that counts. -ENODATA if it has fewer shares than
 * are needed; -ENOTUNIQ if another one has as many, which is a conflict; -EBADMSG if another one
 * has as many trusted shares: the largest might be of another content than what the open file
 * gives.
 */
int gather_choose(const struct gather *gather, size_t *ret_place);

/* The side of a conflict that the copy at PLACE is on: a number that those with its digest share;
 * 0 if its block is in none of the largest groups that count. */
size_t gather_side(const struct gather *gather, size_t place);

/* Returns true if binding copies without a header may change the choice. */
bool gather_has_unbound(const struct gather *gather);

/* Lists the places of the good blocks with the digest of the one at PLACE, in reading order, and
 * returns how many. PLACES has room for all copies. TWINS: also second blocks of one share. */
size_t gather_list(const struct gather *gather, size_t place, bool twins, size_t places[]);
