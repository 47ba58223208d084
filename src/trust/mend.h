/* SPDX-License-Identifier: MIT */
/*
 * Rule 7 of docs/design.md: what repair may replace and remove. Pure decisions, no I/O.
 */
#pragma once

#include "trust/quorum.h"

/*
 * How many stores may be lost, whichever, so that NEEDED different shares are left where AT[i]
 * stores have share i; below 0 where these are too few now.
 */
int mend_spare(const unsigned at[256], unsigned needed);

/* One store's copy of a file that can be restored. */
struct mend_copy {
    int target;   /* the share that the store holds; -1: nothing is written there */
    int has;      /* the share that counts for the file now; -1: none does */
    bool replace; /* by the store's own share */
};

/*
 * Clears REPLACE where to replace a copy, after those before it, would lower the number of stores
 * that may be lost. A share that is needed where it is stays, though it is in the wrong store.
 */
void mend_keep_needed(struct mend_copy copies[], size_t count, unsigned needed);

/* What stores say of a name that few of them have. */
struct removal {
    unsigned lacking; /* different votes of stores that take part and lack it */
    unsigned having;  /* that have it */
    bool any_error;   /* a store could not be looked at */
    bool any_empty;   /* a store holds nothing */
    bool half_copied; /* one that lacks it lacks more than half of what K others have there */
};

/* Returns NULL where the name may be removed, or why it may not. */
const char *mend_refuses_removal(const struct quorum *quorum, const struct removal *removal);
