/* SPDX-License-Identifier: MIT */
/*
 * The master key from the files `key` of several stores, of which some may be damaged, forged, or
 * of another set. What one of them says sizes nothing; what k of them say in one voice does, within
 * the limits of stretch_is_possible.
 *
 * Wrong files among those that agree are found by trying: all choices of k files where there are at
 * most KEY_SEARCH_TRIES, and as many at random otherwise. (Of 20 files with k = 10, 5 wrong ones
 * are found by some 60 tries at random.) c and the set's id say which choice is right.
 */
#pragma once

#include "seal/key_share.h"

enum {
    KEY_SEARCH_TRIES = 100000,
    KEY_SEARCH_SETS =
        4, /* different terms that a passphrase is tried on, those of most files first */
};

/* A file, as it was found. */
struct found_key {
    bool read;  /* it is intact, by its own hash */
    bool opens; /* the key of its set was found; also of two sets */
    struct key_share share;
    enum key_verdict {
        KEY_UNKNOWN,     /* no key was found, or it is not READ */
        KEY_RIGHT,       /* it is one of those of the key */
        KEY_WRONG,       /* it says so, and is not */
        KEY_OTHER_TERMS, /* of the same set, by its own word: another passphrase, or another k */
        KEY_OTHER_SET,
    } verdict;
};

/* Asks for the passphrase, which the caller clears; called once at most, where one is needed. */
typedef int key_ask(void *context, struct passphrase *ret);

struct key_search {
    unsigned required;     /* 0: what most files say */
    const uint8_t *set_id; /* NULL: that of any set, if there is but one */
    bool passphrase_given; /* then files that need none are refused */
    key_ask *ask;
    void *context;
};

/*
 * Looks for the key, and gives each of FILES its verdict. Files that agree are tried together,
 * those of most shares first, and of as many, those that need no passphrase or a cheaper one. RET
 * is of seal_alloc. Returns 0, what ASK returns, or: -ENODATA      fewer files than are enough
 * -EDOM         it is not clear how many are enough: as many say one as another
 * -EBADMSG      there are enough files, but they do not fit together
 * -EPERM        they need no passphrase, and one was given; or one file alone would be enough
 * -EKEYREJECTED the passphrase is wrong
 * -ENOTUNIQ     there are two sets that can be opened
 * -ENOMEM, -EIO
 */
int key_search(const struct key_search *search, struct found_key *files, size_t count,
               struct master_key **ret);

/*
 * Makes the file `key` of share INDEX from those of FILES that fit together, without asking for a
 * passphrase: from the k that give the secret which they name. Returns 0, -ENODATA, -EDOM,
 * -EBADMSG, -ENOMEM or -EIO, as key_search; -ENOTUNIQ where there are k of one key and k of another
 * (or of another passphrase), whoever are more: which is right only the key can say. -EINVAL where
 * INDEX is out of range.
 */
int key_search_rebuild(const struct found_key *files, size_t count, uint8_t index,
                       uint8_t ret[KEY_SHARE_SIZE]);

/*
 * How many files are enough, by those of FILES that are proven to be made with the master key of
 * KEY: with the passphrase that it has, or else with another one or none, where enough files for
 * that are there. k = 1 is proven by the very passphrase alone. Returns 0 or -ENODATA: none proves
 * it; -EDOM: two do, for *RET and *OTHER; -ENOMEM, -EIO.
 */
int key_search_required(const struct found_key *files, size_t count, const struct master_key *key,
                        unsigned *ret, unsigned *other);

/* What to say of an error of key_search. */
const char *key_search_error(int error);
