/* SPDX-License-Identifier: MIT */
/*
 * The shares of one file in all stores, and the version of the file that they restore (rule 4 of
 * docs/design.md). reading.h restores its stripes.
 */
#pragma once

#include "restore/copies.h"

/*
 * Makes a set of the shares that LOOKS at PATH have found, and takes their files. What is no
 * regular file, or could not be opened, is left out; a store's error is logged. If nothing is left,
 * returns the last such error, or -ENOENT; or a shortage. Not every file needs to be a share. RANK:
 * so many of the best versions are left out.
 */
int share_set_new(const struct inquiry *looks, const struct share_terms *terms, const char *path,
                  unsigned rank, struct share_set **ret);

/* Frees the set, and logs what was found bad. */
void share_set_free(struct share_set *set);

/*
 * Takes over the stores that are pending in LOOKS, from which the set was made, if there are any.
 */
void share_set_keep_looks(struct share_set *set, struct inquiry *looks);

/* Takes each share's own word for k, as with required=1: for what is shown unconfirmed. */
void share_set_believe(struct share_set *set);

/*
 * Returns the header of the version that is shown, whose index says nothing; NULL where none is
 * usable.
 */
static inline const struct share_header *share_set_header(const struct share_set *set)
{
    return set->verdict == SHARES_USABLE ? &set->version.header : NULL;
}

/*
 * Returns 0 where a version is usable. Otherwise logs why not, and returns -EIO; -ETIMEDOUT where a
 * store that did not answer in time may have what is missing; or the error of opening a copy.
 */
int share_set_check(struct share_set *set);

/*
 * Stores the status of the file: that of one of the version's shares, with mode and owner as most
 * of them have them, the version's size, and an estimate of its blocks that are not zeros. If there
 * is no version: that of any copy, and no size.
 */
void share_set_status(struct share_set *set, struct stat *ret);

/*
 * Returns how many stripes the longest copy reaches. Bound loops and buffers by this: a header may
 * claim a size that no file has.
 */
uint64_t share_set_present(const struct share_set *set);

/* Returns true if one of the copies is in a store that is not local. */
bool share_set_is_distant(const struct share_set *set);

/*
 * Returns true if all members, as many as are needed or more, have the digest of zeros for stripe t
 * < T: then it is all zeros. Returns false if a store that is not local would have to be asked.
 */
bool share_set_is_hole(struct share_set *set, uint64_t stripe);

/* Returns true if no store is pending, no stripe was lost, and no given stripe was contradicted. */
bool share_set_is_whole(struct share_set *set);

/* Returns true if the set is whole, and no copy was found damaged, failing, forged or changed. */
bool share_set_is_sound(struct share_set *set);

DEFINE_CLEANUP(struct share_set *, share_set_free)
#define cleanup_share_set CLEANUP(cleanup_by_share_set_free)
