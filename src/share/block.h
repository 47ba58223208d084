/* SPDX-License-Identifier: MIT */
/*
 * A block of the checked format: digest | payload | check, HASH_SIZE bytes before and behind.
 *
 * The digest is the hash of the stripe's own bytes (without the filling of its last piece) with its
 * number as the seed, the same in every share. The check is the hash of digest and payload, bound
 * to the stripe's number and the share's index.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HASH_SIZE = 16,
    BLOCK_OVERHEAD = 2 * HASH_SIZE, /* digest and check */
};

/* The hash of the checked format: XXH3-128 in its canonical, big-endian form. */
void hash(const void *data, size_t size, uint64_t seed, uint8_t ret[HASH_SIZE]);

/* Writes the check behind digest and payload. PAYLOAD_SIZE as layout_payload_size has it. */
void block_seal(uint8_t *block, size_t payload_size, uint64_t stripe, uint8_t index);

/* Returns true if a block is intact and where it belongs: right share, right stripe. */
bool block_is_intact(const uint8_t *block, size_t payload_size, uint64_t stripe, uint8_t index);
