/* SPDX-License-Identifier: MIT */
/*
 * From a passphrase to a key: Argon2id (RFC 9106), with parameters that are within limits whoever
 * says them, and strong enough where they are ours.
 */
#pragma once

#include "seal/keys.h"

enum {
    SALT_SIZE = 16,
    PASSPHRASE_SIZE_MAX = 1024,
};

/* How a passphrase is made into a key; all zero: there is none. */
struct stretch {
    uint8_t salt[SALT_SIZE];
    uint32_t memory_kib, passes, lanes;
};

/* What people remember, as bytes. Both zero: there is none. */
struct passphrase {
    char *bytes; /* of seal_alloc */
    size_t size;
};

void passphrase_clear(struct passphrase *passphrase);

/* What new passphrases are stretched with, and a salt that no other has. */
int stretch_new(struct stretch *ret);

/* Returns true if it can be asked of this machine: memory from 8 KiB for each lane to less than 4
 * GiB, 1 to 64 passes and lanes. To be asked before anything is done with it. */
bool stretch_is_possible(const struct stretch *stretch);

/* Returns true if it may stand in what is written: 64 MiB and 3 passes, at least. */
bool stretch_is_strong(const struct stretch *stretch);

/* The key. Takes the memory and the time that STRETCH says. -ERANGE: it is not possible; -EINVAL:
 * PASSPHRASE is empty or too long; -ENOMEM. */
int stretch_passphrase(const struct stretch *stretch, const struct passphrase *passphrase,
                       uint8_t ret[KEY_SIZE]);

#define cleanup_passphrase CLEANUP(passphrase_clear)
