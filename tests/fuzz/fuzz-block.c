/* SPDX-License-Identifier: MIT */
/*
 * block_is_intact: of arbitrary bytes, and of a block that was sealed and then changed in one
 * place, or put where it does not belong.
 *
 *     index 1 | stripe 8 | place of the change 4 | change 1 | block: digest, payload, check
 */
#include "fuzz.h"

#include "share/block.h"

#include <stdbool.h>
#include <string.h>

enum { OVERHEAD = 32 };

/* The definition of docs/format.md. */
static bool is_right(const uint8_t *block, size_t size, uint64_t stripe, uint8_t index)
{
    uint8_t check[HASH_SIZE];

    hash(block, size - HASH_SIZE, stripe * 256 + index, check);
    return memcmp(check, block + size - HASH_SIZE, HASH_SIZE) == 0;
}

static void check_sealed(uint8_t *block, size_t u, uint64_t stripe, uint8_t index, uint32_t place,
                         uint8_t change)
{
    size_t size = u + OVERHEAD;

    block_seal(block, u, stripe, index);
    CHECK(block_is_intact(block, u, stripe, index));
    CHECK(is_right(block, size, stripe, index));
    CHECK(!block_is_intact(block, u, stripe, (uint8_t)(index + 1)));
    CHECK(!block_is_intact(block, u, stripe + 1, index));
    if (change) {
        block[place % size] ^= change;
        CHECK(!block_is_intact(block, u, stripe, index));
        block[place % size] ^= change;
    }
    hash(block + HASH_SIZE, u, stripe, block);
    block_seal(block, u, stripe, index);
    CHECK(block_is_intact(block, u, stripe, index));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    uint8_t index = take_byte(&input);
    uint64_t stripe = take_number(&input) >> 9; /* stripe * 256 + index fits 64 bits */
    uint32_t place = 0;

    for (unsigned i = 0; i < 4; i++)
        place = place << 8 | take_byte(&input);
    uint8_t change = take_byte(&input);
    if (input.left <= OVERHEAD)
        return 0;
    uint8_t *block = malloc(input.left);
    CHECK(block);
    memcpy(block, input.data, input.left);
    size_t u = input.left - OVERHEAD;
    CHECK(block_is_intact(block, u, stripe, index) == is_right(block, input.left, stripe, index));
    CHECK(memcmp(block, input.data, input.left) == 0);
    check_sealed(block, u, stripe, index, place, change);
    free(block);
    return 0;
}
