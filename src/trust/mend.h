/* SPDX-License-Identifier: MIT */
/*
 * Rule 7 of docs/design.md: what repair may replace and remove. Pure decisions, no I/O.
 */
#pragma once

#include "trust/name.h"
#include "trust/version.h"

/* What a store with a vote holds. */
struct mend_store {
    unsigned required; /* the k that most of its headers say */
    uint64_t files;
    uint64_t
        alone; /* of these, the ones that no other store has, or too few for them to be shown */
};

/* Why nothing is written to a store. */
enum mend_refusal {
    MEND_WRITES,     /* it is written to */
    MEND_OTHER_K,    /* it says another k than most, and no checks tell whether it is one at all */
    MEND_OTHER_TREE, /* it has mostly files that no other has */
};

/*
 * A store of another tree that has come among the others keeps what it has, also under names that
 * are here as well. Where one share is enough, one that is ahead of the others looks the same;
 * checks tell more then. Without checks, a directory of other files may look like a store: all
 * texts that begin alike do.
 */
enum mend_refusal mend_refuses_store(const struct quorum *quorum, enum share_format format,
                                     const struct mend_store *store);

/* Returns true if most files of a store are in no other: it looks like one of another tree. */
bool mend_is_alien(const struct mend_store *store);

/* How many stores may be lost, whichever they are, with NEEDED different shares left, where AT[i]
 * have share i. Negative: too few are there now. */
int mend_spare(const unsigned at[256], unsigned needed);

/* One store's copy of a file that can be restored. */
struct mend_copy {
    int target;     /* the share that the store holds; -1: nothing is written there */
    int has;        /* the share that counts for the file now; -1: none does */
    int holds;      /* the share of what is shown that it holds in full; -1: none */
    unsigned claim; /* shares of the other version that it is kept for; 0: it is not */
    bool replace;   /* by the store's own share */
};

/* Returns true if COPIES[PLACE], of another version, is not to be replaced by what is SHOWN if it
 * is intact. *RET_SHARES is set where the reason is that its version is complete in as many stores.
 */
bool mend_has_claim(const struct quorum *quorum, const struct copy_facts copies[], size_t count,
                    size_t place, const struct share_header *shown, unsigned *ret_shares);

/* Clears REPLACE, in order, where to replace the copy would lower the number of stores that may be
 * lost: a share that is needed where it is stays, even in the wrong store. */
void mend_keep_needed(struct mend_copy copies[], size_t count, unsigned needed);

/* Clears REPLACE where what is shown, now in WHOLE stores, would get into more of them than an
 * older version that is kept for being in as many: the next run would replace that. */
void mend_keep_claims(struct mend_copy copies[], size_t count, unsigned whole);

/* Returns true if a copy with the mode and owner of OWN, one of COUNT ballots, keeps these where
 * SHOWN are shown: two have most votes, or they differ in special bits that fewer than K deny. */
bool mend_keeps_mode(const struct quorum *quorum, const struct ballot ballots[], size_t count,
                     const struct ballot *own, const struct stat *shown);

/* What stores say of a name that few of them have, or of a file that is to give way. */
struct removal {
    unsigned lacking;  /* different votes of stores that take part and lack it */
    unsigned having;   /* that have it */
    bool complete;     /* its shares are enough by their own k, though not by K */
    bool any_error;    /* a store could not be looked at */
    bool any_empty;    /* a store holds nothing */
    bool half_copied;  /* one that lacks it lacks more than half of the names that are shown */
    bool alien;        /* more than half of the files of one that has it are in no other store */
    const char *other; /* a name with whose shares its own make up a version; NULL: there is none */
};

/* NULL where the name may be removed, or why not; the other name is to be said behind that. */
const char *mend_refuses_removal(const struct quorum *quorum, const struct removal *removal);
