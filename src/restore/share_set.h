/* SPDX-License-Identifier: MIT */
/*
 * The shares of one file in all stores, the version of the file that they give, and its stripes.
 *
 * A block that is missing, cut off, unreadable, corrupt or misplaced is one erasure in one stripe;
 * the other blocks of that share go on being used. As long as some k stores have an intact block
 * of the version for a stripe, the stripe is restored exactly; otherwise reading it is an error.
 */
#pragma once

#include "restore/copies.h"

struct share_set;

/*
 * Makes a set of the shares that LOOKS at PATH have found, and takes their files. If none is a
 * regular file that can be opened, returns the last store's error, or -ENOENT. Not every file needs
 * to be a share. RANK: so many of the best versions are left out.
 */
int share_set_new(const struct inquiry *looks, const struct share_terms *terms, const char *path,
                  unsigned rank, struct share_set **ret);

/*
 * Takes over the stores that are pending in LOOKS, which the set was made of, if there are any.
 * What they answer later helps if the others are not enough.
 */
void share_set_keep_looks(struct share_set *set, struct inquiry *looks);

/* Returns true if no store is pending, no stripe was lost, and no given stripe was contradicted. */
bool share_set_is_whole(struct share_set *set);

/* Returns true if the set is whole, and no copy was found damaged, failing, forged or changed. */
bool share_set_is_sound(struct share_set *set);

/* The bytes of memory that it takes, more or less. */
size_t share_set_size(const struct share_set *set);

/* Frees the set, and says in the log what was found bad. */
void share_set_free(struct share_set *set);

/* What the headers of the version that is shown say, its index aside; NULL where none is usable. */
const struct share_header *share_set_header(const struct share_set *set);

/* Returns the version that is shown, else the best of those that are not usable; NULL where no copy
 * has a header. */
const struct version *share_set_version(const struct share_set *set);

/* Returns true if two versions have equal claims, or two contents of a stripe that was read. */
bool share_set_is_conflict(struct share_set *set);

/* Says between what the conflict is, and which stores have it; the caller frees it. NULL without
 * memory. */
char *share_set_describe_conflict(struct share_set *set);

/* The required= that would show the file; 0: that is not what is missing. */
unsigned share_set_would_need(const struct share_set *set);

/* Returns true if the version has all shares that it needs, without help of other copies. */
bool share_set_is_complete(const struct share_set *set);

/* Takes each share's own word for k, as with required=1: for what is shown unconfirmed. */
void share_set_believe(struct share_set *set);

/* Returns true if a stripe was given that intact blocks contradicted; forgets whom to trust then.
 */
bool share_set_is_contested(struct share_set *set);
void share_set_forget_trust(struct share_set *set);

/*
 * The status of the file: of one of the version's shares, with mode and owner as most of them have
 * them, and the version's size; its blocks by a guess at how much of it is zeros. If there is no
 * version: that of any copy, and no size.
 */
void share_set_status(struct share_set *set, struct stat *ret);

/* Returns 0 where a version is usable; otherwise says why not in the log, and -EIO; -ETIMEDOUT
 * where a store that did not answer in time may have what is missing; or why a copy could not be
 * opened. */
int share_set_check(struct share_set *set);

/*
 * Restores stripe t < T into DATA, which has room for k*u bytes. In the checked format the result
 * matches its digest; in the others it is the one solution by rule 6. Returns 0; -EIO (the log says
 * why); -ETIMEDOUT; or a shortage. Any thread may call it.
 */
int share_set_read_stripe(struct share_set *set, uint64_t stripe, uint8_t *data);

/*
 * Returns how many stripes the longest copy reaches. Bound loops and buffers by this: a header may
 * claim a size that no file has.
 */
uint64_t share_set_present(const struct share_set *set);

/* Returns true if a copy is in a store that is not local. */
bool share_set_is_distant(const struct share_set *set);

/* The copies, for whoever wants to know what each is worth. */
struct copies *share_set_copies(struct share_set *set);

/*
 * share_set_begin_reading prepares RET for reading STRIPE into DATA. share_set_end_reading logs a
 * failure R of that reading, and returns the error that share_set_read_stripe would.
 */
struct stripe_reading;
void share_set_begin_reading(struct share_set *set, uint64_t stripe, uint8_t *data,
                             struct stripe_reading *ret);
int share_set_end_reading(struct share_set *set, const struct stripe_reading *reading, int r);

/*
 * Returns true if all members, so many as are needed or more, have the digest of zeros for stripe
 * t < T: then it is nothing but zeros. Returns false if a store that is not local would have to be
 * asked.
 */
bool share_set_is_hole(struct share_set *set, uint64_t stripe);

DEFINE_CLEANUP(struct share_set *, share_set_free)
#define cleanup_share_set CLEANUP(cleanup_by_share_set_free)
