/* SPDX-License-Identifier: MIT */
/*
 * The shares of one file in all stores, and the version of the file that they give (rule 4 of
 * docs/design.md). Its stripes are restored by reading.h.
 */
#pragma once

#include "restore/copies.h"

#include <pthread.h>

/* What an open file has learned of its contents. */
struct content_trust {
    bool contested; /* it gave a stripe that intact blocks contradicted */
    bool bound;     /* copies without a header were held against all versions */
    bool missed;    /* a store did not answer in time when copies were held against versions */
    bool conflict;  /* a stripe has two contents with equal claims; the first such one: */
    uint64_t conflict_stripe;
};

struct share_set {
    char *path; /* for messages */
    struct share_terms terms;
    struct quorum quorum;
    struct version version; /* where there is none that is usable: the best of the others */
    enum shares_verdict {
        SHARES_USABLE,
        SHARES_CONFLICT,   /* two versions of one time are complete, in as many stores */
        SHARES_INCOMPLETE, /* no version has the shares that it needs */
        SHARES_NONE,       /* no copy has an intact header */
    } verdict;
    bool plain;    /* special bits are not shown */
    size_t denied; /* copies that this user may not read */
    int unread;    /* why a copy could not be opened, if that is no verdict on it; else 0 */
    pthread_mutex_t late_lock; /* taken before the other one, to wait for: */
    struct inquiry late;       /* looks of which some are pending */
    pthread_mutex_t lock;      /* of what reading teaches about the copies, and of: */
    struct content_trust trust;
    bool partial;             /* there are such looks */
    bool told_conflict;       /* between contents, in the log */
    struct damage lost;       /* stripes that could not be restored */
    struct damage dead;       /* those of them that stay so, whatever is tried again */
    struct damage undecided;  /* and those where to find out took too long */
    size_t count, room;       /* of the copies */
    struct copy_facts *facts; /* of each of them */
    struct copy copies[];
};

/*
 * Makes a set of the shares that LOOKS at PATH have found, and takes their files. What is no
 * regular file, or could not be opened, is left out; a store's error is logged. If nothing is left,
 * returns the last such error, or -ENOENT; or a shortage. Not every file needs to be a share. RANK:
 * so many of the best versions are left out.
 */
int share_set_new(const struct inquiry *looks, const struct share_terms *terms, const char *path,
                  unsigned rank, struct share_set **ret);

/* Frees the set, and says in the log what was found bad. */
void share_set_free(struct share_set *set);

/* Takes over the stores that are pending in LOOKS, which the set was made of, if there are any. */
void share_set_keep_looks(struct share_set *set, struct inquiry *looks);

/* Waits for what these say, and adds it to the copies. Returns 0 or a shortage. */
int share_set_wait_for_late(struct share_set *set);

/* Takes each share's own word for k, as with required=1: for what is shown unconfirmed. */
void share_set_believe(struct share_set *set);

/* What the headers of the version that is shown say, its index aside; NULL where none is usable. */
static inline const struct share_header *share_set_header(const struct share_set *set)
{
    return set->verdict == SHARES_USABLE ? &set->version.header : NULL;
}

/*
 * Returns 0 where a version is usable; otherwise says why not in the log, and -EIO; -ETIMEDOUT
 * where a store that did not answer in time may have what is missing; or why a copy could not be
 * opened.
 */
int share_set_check(struct share_set *set);

/* Says between which versions or contents of a stripe there is a conflict, and which stores have
 * them; the caller frees it. NULL without memory. */
char *share_set_describe_conflict(struct share_set *set);

/*
 * The status of the file: of one of the version's shares, with mode and owner as most of them have
 * them, and the version's size; its blocks by a guess at how much of it is zeros. If there is no
 * version: that of any copy, and no size.
 */
void share_set_status(struct share_set *set, struct stat *ret);

/*
 * Returns how many stripes the longest copy reaches. Bound loops and buffers by this: a header may
 * claim a size that no file has.
 */
uint64_t share_set_present(const struct share_set *set);

/* Returns true if a copy is in a store that is not local. */
bool share_set_is_distant(const struct share_set *set);

/*
 * Returns true if all members, so many as are needed or more, have the digest of zeros for stripe
 * t < T: then it is nothing but zeros. Returns false if a store that is not local would have to be
 * asked.
 */
bool share_set_is_hole(struct share_set *set, uint64_t stripe);

/* Returns true if no store is pending, no stripe was lost, and no given stripe was contradicted. */
bool share_set_is_whole(struct share_set *set);

/* Returns true if the set is whole, and no copy was found damaged, failing, forged or changed. */
bool share_set_is_sound(struct share_set *set);

DEFINE_CLEANUP(struct share_set *, share_set_free)
#define cleanup_share_set CLEANUP(cleanup_by_share_set_free)
