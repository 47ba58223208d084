/* SPDX-License-Identifier: MIT */
/*
 * A block of the checked format: digest 16 | payload | check 16.
 *
 * The digest is the hash of the stripe's own bytes, the same in every share; the check is the
 * hash of digest and payload, bound to the stripe's number and the share's index.
 */
#pragma once

#include "share/hash.h"

#include <stdbool.h>

enum {
    BLOCK_DIGEST_SIZE = HASH_SIZE,
    BLOCK_OVERHEAD = 2 * HASH_SIZE, /* digest and check */
};

/* The digest of stripe number STRIPE, of SIZE bytes (without the filling of its last piece). */
void stripe_digest(const uint8_t *data, size_t size, uint64_t stripe, uint8_t ret[HASH_SIZE]);

/* Writes the check behind digest and payload. PAYLOAD_SIZE as layout_payload_size has it. */
void block_seal(uint8_t *block, size_t payload_size, uint64_t stripe, uint8_t index);

/* Whether a block is intact and stands where it belongs: right share, right stripe. */
bool block_is_intact(const uint8_t *block, size_t payload_size, uint64_t stripe, uint8_t index);
