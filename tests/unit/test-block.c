/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "share/block.h"

#include <stdlib.h>
#include <string.h>

/* The block of docs/format.md's example: "0123456789", k = 3, share 4. */
static const uint8_t example[] = {
    0xe3, 0x53, 0x66, 0x76, 0x19, 0xec, 0x66, 0x4b,
    0x49, 0x65, 0x5f, 0xc9, 0x69, 0x21, 0x65, 0xfb, /**/
    0x10, 0x11, 0xb0, 0xad,                         /**/
    0x5e, 0x99, 0xb7, 0x99, 0x66, 0x96, 0xb0, 0xbf,
    0xe7, 0x99, 0xf6, 0x6d, 0x6c, 0x32, 0xbd, 0x38,
};

static uint8_t *random_block(size_t payload_size, uint64_t stripe, uint8_t index)
{
    uint8_t *block = exact_bytes(BLOCK_OVERHEAD + payload_size);

    random_fill(block, HASH_SIZE + payload_size);
    block_seal(block, payload_size, stripe, index);
    return block;
}

static void test_example(void **state)
{
    static const char source[] = "0123456789";
    uint8_t block[sizeof example];

    hash((const uint8_t *)source, 10, 0, block);
    memcpy(block + HASH_SIZE, example + HASH_SIZE, 4);
    block_seal(block, 4, 0, 4);
    assert_memory_equal(block, example, sizeof example);
    assert_true(block_is_intact(example, 4, 0, 4));
}

static void test_intact(void **state)
{
    static const size_t sizes[] = {0,   1,   2,   3,   15,   16,    17,
                                   127, 128, 240, 241, 4096, 65536, 1 << 20};

    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        uint64_t stripe = random_next() >> random_between(8, 63);
        uint8_t index = (uint8_t)random_next();
        uint8_t *block = random_block(sizes[s], stripe, index);
        uint8_t *copy = exact_copy(block, BLOCK_OVERHEAD + sizes[s]);
        assert_true(block_is_intact(block, sizes[s], stripe, index));
        assert_memory_equal(block, copy, BLOCK_OVERHEAD + sizes[s]);
        free(block);
        free(copy);
    }
}

/* Digest, payload and check alike. */
static void test_every_bit(void **state)
{
    static const size_t sizes[] = {0, 1, 4, 100, 300};

    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        uint8_t *block = random_block(sizes[s], 7, 9);
        for (size_t bit = 0; bit < (BLOCK_OVERHEAD + sizes[s]) * 8; bit++) {
            uint8_t flip = (uint8_t)(1 << bit % 8);
            block[bit / 8] ^= flip;
            assert_false(block_is_intact(block, sizes[s], 7, 9));
            block[bit / 8] ^= flip;
        }
        assert_true(block_is_intact(block, sizes[s], 7, 9));
        free(block);
    }
}

static void test_wrong_index(void **state)
{
    uint8_t *block = random_block(50, 3, 100);

    for (unsigned index = 0; index < 256; index++)
        assert_int_equal(block_is_intact(block, 50, 3, (uint8_t)index), index == 100);
    free(block);
}

static void test_wrong_stripe(void **state)
{
    uint8_t *block = random_block(50, 300, 100);

    for (uint64_t stripe = 0; stripe < 1000; stripe++)
        assert_int_equal(block_is_intact(block, 50, stripe, 100), stripe == 300);
    for (unsigned bit = 0; bit < 56; bit++)
        assert_false(block_is_intact(block, 50, 300 ^ UINT64_C(1) << bit, 100));
    free(block);
}

static void test_cut_short(void **state)
{
    uint8_t *block = random_block(50, 0, 1);

    for (size_t size = 0; size < 50; size++)
        assert_false(block_is_intact(block, size, 0, 1));
    free(block);
}

/* The filling of the last piece is no part of a stripe; its place in the source is. */
static void test_digest(void **state)
{
    uint8_t bytes[12] = "0123456789", one[HASH_SIZE], other[HASH_SIZE];

    hash(bytes, 10, 0, one);
    hash(bytes, 12, 0, other);
    assert_memory_not_equal(one, other, HASH_SIZE);
    hash(bytes, 10, 1, other);
    assert_memory_not_equal(one, other, HASH_SIZE);
    bytes[10] = 1;
    hash(bytes, 10, 0, other);
    assert_memory_equal(one, other, HASH_SIZE);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),      cmocka_unit_test(test_intact),
        cmocka_unit_test(test_every_bit),    cmocka_unit_test(test_wrong_index),
        cmocka_unit_test(test_wrong_stripe), cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_digest),
    };

    return cmocka_run_group_tests_name("block", tests, support_set_up, NULL);
}
