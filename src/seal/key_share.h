/* SPDX-License-Identifier: MIT */
/*
 * The file `key` of a share: the part of the master key that its node gets (docs/format.md,
 * "Keys"). Any k of them give the whole key, fewer give nothing. Pure bytes, no I/O.
 */
#pragma once

#include "seal/key_file.h"
#include "share/format.h"

#include <time.h>

#define KEY_SHARE_NAME "key"

enum {
    KEY_SHARES_MAX = 255, /* i is 0..254 */
    SECRET_CHECK_SIZE = 16,
};

/* A parsed file. Nothing in it is proven. */
struct key_share {
    uint8_t required, index;
    bool has_passphrase; /* its secret is M xor P, and not M */
    struct stretch stretch;
    uint8_t set_id[SET_ID_SIZE];
    uint8_t check[SECRET_CHECK_SIZE]; /* of the secret */
    uint8_t value[KEY_SIZE];
    uint8_t bytes[KEY_SHARE_SIZE];
};

/*
 * Makes the file of share INDEX. -EINVAL: REQUIRED or INDEX is out of range; -EPERM: with REQUIRED
 * 1 each node would have the key, so it needs a passphrase; -ERANGE: the stretching of KEY's
 * passphrase is too weak to be written.
 */
int key_share_make(const struct master_key *key, unsigned required, unsigned index,
                   uint8_t ret[KEY_SHARE_SIZE]);

/* Makes the file of share INDEX with VALUE, and with all that the files of one key have in common
 * from OTHER. */
void key_share_like(const struct key_share *other, uint8_t index, const uint8_t value[KEY_SIZE],
                    uint8_t ret[KEY_SHARE_SIZE]);

/* Parses a file. -EBADMSG: it is damaged, or of another kind. */
int key_share_read(const uint8_t *bytes, size_t size, struct key_share *ret);

/* Returns true if SHARE is what key_share_make makes of KEY. */
bool key_share_is_of(const struct key_share *share, const struct master_key *key);

/* Returns the mtime that the file gets, so that tools notice a new one. */
struct timespec key_share_time(const uint8_t bytes[KEY_SHARE_SIZE]);
