/* SPDX-License-Identifier: MIT */
/*
 * Derives a key from a passphrase by Argon2id (RFC 9106). Parameters from any origin must be within
 * limits; those that are written must be strong, too.
 */
#pragma once

#include "seal/keys.h"

enum {
    SALT_SIZE = 16,
    PASSPHRASE_SIZE_MAX = 1024,
};

/* How a passphrase is stretched into a key; all zero: there is none. */
struct stretch {
    uint8_t salt[SALT_SIZE];
    uint32_t memory_kib, passes, lanes;
};

/* A passphrase, as bytes. Both zero: there is none. */
struct passphrase {
    char *bytes; /* of seal_alloc */
    size_t size;
};

void passphrase_clear(struct passphrase *passphrase);

/* Chooses the parameters for new passphrases, and a fresh salt. */
int stretch_new(struct stretch *ret);

/* Returns true if this machine may be asked for it: memory from 8 KiB for each lane to less than 4
 * GiB, 1 to 64 passes and lanes. Check this before STRETCH is used for anything. */
bool stretch_is_possible(const struct stretch *stretch);

/* Returns true if it is strong enough to be written: at least 64 MiB and 3 passes. */
bool stretch_is_strong(const struct stretch *stretch);

/* Derives the key, with the memory and time that STRETCH asks for. -ERANGE: that is not possible;
 * -EINVAL: PASSPHRASE is empty or too long; -ENOMEM. */
int stretch_passphrase(const struct stretch *stretch, const struct passphrase *passphrase,
                       uint8_t ret[KEY_SIZE]);

#define cleanup_passphrase CLEANUP(passphrase_clear)
