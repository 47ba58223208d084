/* SPDX-License-Identifier: MIT */
/*
 * Finds the master key from the files `key` of several stores, of which some may be damaged,
 * forged, or of another set. A single file's word never decides how much memory or time is used.
 * What k files agree on does, within the limits of stretch_is_possible.
 *
 * Wrong files among those that agree are found by trial: every choice of k files if there are at
 * most KEY_SEARCH_TRIES, otherwise as many random ones. (Of 20 files with k = 10, 5 wrong ones are
 * found by some 60 random tries.) c and the set's id tell which choice is right.
 */
#pragma once

#include "seal/key_share.h"

enum {
    KEY_SEARCH_TRIES = 100000,
    KEY_SEARCH_SETS =
        4, /* different terms that a passphrase is tried with, those of most files first */
};

/* A file as it was found. */
struct found_key {
    bool read;  /* its own hash matches */
    bool opens; /* the key of its set was found; true also if two sets were */
    struct key_share share;
    enum key_verdict {
        KEY_UNKNOWN,     /* no key was found, or the file is not READ */
        KEY_RIGHT,       /* it is one of the key's own files */
        KEY_WRONG,       /* it claims to be, and is not */
        KEY_OTHER_TERMS, /* claims the same set, but with another passphrase or another k */
        KEY_OTHER_SET,
    } verdict;
};

/*
 * Asks for the passphrase, which the caller clears. Called at most once, and only if one is needed.
 */
typedef int key_ask(void *context, struct passphrase *ret);

struct key_search {
    unsigned required;     /* 0: what most files say */
    const uint8_t *set_id; /* NULL: any set, if there is just one */
    bool passphrase_given; /* files that need none are then refused */
    key_ask *ask;
    void *context;
};

/*
 * Looks for the key, and gives each of FILES its verdict. Files that agree are tried together, the
 * group with most shares first; among equals, one that needs no passphrase or a cheaper one. RET is
 * allocated with seal_alloc. Returns 0, what ASK returns, or:
 * -ENODATA      too few files
 * -EDOM         k is unclear: as many files say one as another
 * -EBADMSG      there are enough files, but they do not fit together
 * -EPERM        a passphrase was given and they need none; or one file alone would be enough
 * -EKEYREJECTED the passphrase is wrong
 * -ENOTUNIQ     two sets can be opened
 * -ENOMEM, -EIO
 */
int key_search(const struct key_search *search, struct found_key *files, size_t count,
               struct master_key **ret);

/*
 * Makes the file `key` of share INDEX from those of FILES that fit together: from k files that give
 * the secret which they name. Needs no passphrase. Returns 0, -ENODATA, -EDOM, -EBADMSG, -ENOMEM or
 * -EIO, as key_search. -ENOTUNIQ: k files are of one key and k of another (or of another
 * passphrase); numbers do not count, since only the key can tell which is right. -EINVAL: INDEX is
 * out of range.
 */
int key_search_rebuild(const struct found_key *files, size_t count, uint8_t index,
                       uint8_t ret[KEY_SHARE_SIZE]);

/*
 * Finds k by those of FILES that are proven to be made with the master key of KEY: with its
 * passphrase, or else with another one or none, if there are enough such files. k = 1 is proven
 * only by KEY's own passphrase. Returns 0, or -ENODATA: none proves it; -EDOM: two values are
 * proven, *RET and *OTHER; -ENOMEM, -EIO.
 */
int key_search_required(const struct found_key *files, size_t count, const struct master_key *key,
                        unsigned *ret, unsigned *other);

/* Returns the message for an error of key_search. */
const char *key_search_error(int error);
