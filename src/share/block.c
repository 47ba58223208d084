/* SPDX-License-Identifier: MIT */
#include "share/block.h"

#include <string.h>

void stripe_digest(const uint8_t *data, size_t size, uint64_t stripe, uint8_t ret[HASH_SIZE])
{
    hash(data, size, stripe, ret);
}

static void block_check(const uint8_t *block, size_t payload_size, uint64_t stripe, uint8_t index,
                        uint8_t ret[HASH_SIZE])
{
    hash(block, BLOCK_DIGEST_SIZE + payload_size, stripe * 256 + index, ret);
}

void block_seal(uint8_t *block, size_t payload_size, uint64_t stripe, uint8_t index)
{
    block_check(block, payload_size, stripe, index, block + BLOCK_DIGEST_SIZE + payload_size);
}

bool block_is_intact(const uint8_t *block, size_t payload_size, uint64_t stripe, uint8_t index)
{
    uint8_t expected[HASH_SIZE];

    block_check(block, payload_size, stripe, index, expected);
    return memcmp(expected, block + BLOCK_DIGEST_SIZE + payload_size, HASH_SIZE) == 0;
}
