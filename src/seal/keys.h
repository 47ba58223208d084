/* SPDX-License-Identifier: MIT */
/*
 * The keys of sealed shares, and their use on names, stripes and times (docs/format.md, "Sealed
 * shares"). All are derived from one master key. They are kept in memory that is locked, wiped when
 * it is freed, and left out of core dumps.
 *
 * Functions return 0 or a negative errno; -EIO: the library refuses. Any thread may use keys.
 */
#pragma once

#include "base/cleanup.h"
#include "share/stripe.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KEY_SIZE = 32,     /* of the master key, and of each derived key */
    SET_ID_SIZE = 16,  /* identifies the shares of one master key */
    PATH_ID_SIZE = 10, /* stands for the path of a file or directory */
    PATH_ID_DIGITS = 16,
    LINK_ID_SIZE = 8,
    TAG_SIZE = 16, /* as large as the digest of a checked block, in whose place it is */
};

struct seal_keys;

/* Initializes the library. Call it before anything else here, and again after a fork. */
int seal_start(void);

int seal_random(uint8_t *ret, size_t size);

/* Derives the keys from MASTER. */
int seal_keys_new(const uint8_t master[KEY_SIZE], struct seal_keys **ret);
void seal_keys_free(struct seal_keys *keys);

const uint8_t *seal_keys_master(const struct seal_keys *keys);
const uint8_t *seal_keys_set_id(const struct seal_keys *keys);

/* HKDF-Expand with SHA-256 (RFC 5869) to SIZE bytes, at most 255 * 32. */
int seal_expand(const uint8_t secret[KEY_SIZE], const void *info, size_t info_size, uint8_t *ret,
                size_t size);

/* Compares in constant time. */
bool seal_equal(const void *left, const void *right, size_t size);

/* Allocates memory for secrets: locked, not dumped, wiped when it is freed. NULL: there is none. */
void *seal_alloc(size_t size);
void seal_free(void *secret);

/* Computes the id of the file or directory at PATH, relative to the source's root. */
int seal_path_id(const struct seal_keys *keys, const char *path, uint8_t ret[PATH_ID_SIZE]);

/* Converts an id to a name in lower-case base32hex, and back: -EINVAL if NAME is none. */
void seal_id_name(const uint8_t id[PATH_ID_SIZE], char ret[PATH_ID_DIGITS + 1]);
int seal_id_from_name(const char *name, uint8_t ret[PATH_ID_SIZE]);

/* Computes the id that all names of one file share. ROOT: the path of its file system's root. */
int seal_link_id(const struct seal_keys *keys, uint64_t inode, uint64_t size, int64_t mtime_ns,
                 const char *root, uint8_t ret[LINK_ID_SIZE]);

/* Computes what is added to the time of a manifest of CONTENT: 0..999999 nanoseconds. */
int seal_time_fraction(const struct seal_keys *keys, const void *content, size_t size,
                       uint32_t *ret);

/* Identifies a stripe, together with its number. */
struct seal_place {
    const struct seal_keys *keys;
    bool manifest;           /* of a manifest: sealed with another key */
    uint8_t bound[TAG_SIZE]; /* a file's id, or bytes 16..31 of a manifest's header */
};

struct seal_place seal_place_of_file(const struct seal_keys *keys, const uint8_t id[PATH_ID_SIZE]);
struct seal_place seal_place_of_manifest(const struct seal_keys *keys, const uint8_t header[32]);

/* Encrypts SIZE bytes at DATA in place, and writes their tag. LAST: it is the file's last stripe.
 */
int seal_stripe(const struct seal_place *place, uint64_t stripe, bool last, uint8_t *data,
                size_t size, uint8_t ret_tag[TAG_SIZE]);

/* Decrypts in place. -EBADMSG: TAG was not made with this key for these bytes in this place; DATA
 * is then undefined. */
int seal_open_stripe(const struct seal_place *place, uint64_t stripe, bool last, uint8_t *data,
                     size_t size, const uint8_t tag[TAG_SIZE]);

/* Opens the stripes of one file. OPENER is the first member, so that a pointer to it can be passed
 * on. */
struct seal_opener {
    struct stripe_opener opener;
    struct seal_place place;
    struct share_layout layout;
};

struct seal_opener seal_opener(const struct seal_place *place, const struct share_layout *layout);

DEFINE_CLEANUP(struct seal_keys *, seal_keys_free)
static inline void cleanup_secret_value(void *value)
{
    seal_free(*(void **)value);
}
#define cleanup_seal_keys CLEANUP(cleanup_by_seal_keys_free)
#define cleanup_secret    CLEANUP(cleanup_secret_value)
