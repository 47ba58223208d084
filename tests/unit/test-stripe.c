/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "base/cleanup.h"
#include "share/block.h"
#include "share/stripe.h"

#include <stdlib.h>
#include <string.h>

/* A stripe and blocks of it, all in memory of exactly the size that the contracts ask for. */
struct stripe {
    struct share_layout layout;
    uint64_t number;
    size_t size, room, block_size; /* room: k*u */
    uint8_t *data;
    unsigned count;
    uint8_t indices[256];
    uint8_t *blocks[256];
};

/* What a source says of a sealed stripe; other formats do not look at it. */
static const uint8_t tag[HASH_SIZE] = "a tag of sealed";

static void encode(struct stripe *stripe)
{
    cleanup_encoder struct encoder *encoder = NULL;
    cleanup_free uint8_t *data = exact_copy(stripe->data, stripe->room);

    assert_int_equal(encoder_new(&stripe->layout, stripe->count, stripe->indices, &encoder), 0);
    for (unsigned s = 0; s < stripe->count; s++)
        stripe->blocks[s] = exact_bytes(stripe->block_size);
    assert_int_equal(encoder_run(encoder, stripe->number, data, tag, stripe->blocks), 0);
    assert_memory_equal(data, stripe->data, stripe->size);
}

/* Random bytes, also where zeros are to fill up, and the blocks of the COUNT shares of INDICES. */
static struct stripe make_stripe(const struct share_layout *layout, uint64_t number, unsigned count,
                                 const uint8_t indices[])
{
    struct stripe stripe = {
        .layout = *layout,
        .number = number,
        .size = layout_stripe_size(layout, number),
        .room = layout->required * layout_payload_size(layout, number),
        .block_size = layout_block_size(layout, number),
        .count = count,
    };

    stripe.data = exact_bytes(stripe.room);
    random_fill(stripe.data, stripe.room);
    memcpy(stripe.indices, indices, count);
    encode(&stripe);
    return stripe;
}

static void free_stripe(struct stripe *stripe)
{
    for (unsigned s = 0; s < stripe->count; s++)
        free(stripe->blocks[s]);
    free(stripe->data);
}

/* Decodes from the blocks at PLACES of the stripe's; what comes out has to be right if it is 0. */
static int decode_from(const struct stripe *stripe, const uint8_t places[])
{
    cleanup_free uint8_t *data = exact_bytes(stripe->room);
    const uint8_t *blocks[256];
    uint8_t indices[256];

    for (unsigned s = 0; s < stripe->layout.required; s++) {
        indices[s] = stripe->indices[places[s]];
        blocks[s] = stripe->blocks[places[s]];
    }
    int r = stripe_decode(&stripe->layout, stripe->number, indices, blocks, data);
    if (r == 0)
        assert_memory_equal(data, stripe->data, stripe->size);
    return r;
}

static int decode_first(const struct stripe *stripe)
{
    uint8_t places[256];

    first_subset(stripe->layout.required, places);
    return decode_from(stripe, places);
}

static struct share_layout layout_of(enum share_format format, unsigned required,
                                     uint32_t block_size, uint64_t source_size)
{
    struct share_layout layout;

    assert_int_equal(layout_new(format, required, 256, block_size, source_size, &layout), 0);
    return layout;
}

/* A full stripe and the last one of a source, from some sets of shares. */
static void assert_round_trips(const struct share_layout *layout, unsigned total)
{
    const uint64_t numbers[] = {0, layout_stripes(layout) - 1};
    uint8_t indices[256], places[256];

    for (unsigned n = numbers[1] == 0; n < 2; n++) {
        random_indices(total, 256, indices);
        struct stripe stripe = make_stripe(layout, numbers[n], total, indices);
        for (unsigned round = 0; round < 4; round++) {
            random_indices(layout->required, total, places);
            assert_int_equal(decode_from(&stripe, places), 0);
        }
        if (layout->format == SHARE_CHECKED) {
            for (unsigned s = 0; s < total; s++)
                assert_true(block_is_intact(stripe.blocks[s], stripe.block_size - BLOCK_OVERHEAD,
                                            stripe.number, stripe.indices[s]));
        }
        free_stripe(&stripe);
    }
}

static void test_sizes(void **state)
{
    for (enum share_format format = SHARE_CHECKED; format < SHARE_FORMATS; format++) {
        for (unsigned required = 1; required <= 6; required++) {
            struct share_layout full = layout_of(format, required, 4096, 1);
            uint64_t stripe = layout_full_stripe_size(&full);
            const uint64_t sizes[] = {
                1,          required - 1, required,   required + 1,          37,        4095,
                stripe - 1, stripe,       stripe + 1, stripe + required + 1, 2 * stripe};
            for (size_t s = 0; s < COUNT_OF(sizes); s++) {
                struct share_layout layout = layout_of(format, required, 4096, sizes[s]);
                if (sizes[s] > 0)
                    assert_round_trips(&layout, required + 3);
            }
        }
    }
}

static void test_random(void **state)
{
    for (unsigned round = 0; round < 60; round++) {
        unsigned total = (unsigned)random_between(1, round < 10 ? 256 : 40);
        unsigned required = (unsigned)random_between(1, total < 255 ? total : 255);
        struct share_layout layout =
            layout_of((enum share_format)random_below(3), required,
                      UINT32_C(4096) << random_below(3), random_between(1, 200000));
        assert_round_trips(&layout, total);
    }
}

static void test_largest_k_and_n(void **state)
{
    for (enum share_format format = SHARE_CHECKED; format < SHARE_FORMATS; format++) {
        struct share_layout layout = layout_of(format, 255, 4096, 255 * 4096 + 1000);
        assert_round_trips(&layout, 256);
    }
}

/* Every set, and the blocks in any order. */
static void test_every_subset(void **state)
{
    for (enum share_format format = SHARE_CHECKED; format < SHARE_FORMATS; format++) {
        struct share_layout layout = layout_of(format, 4, 4096, 1003);
        static const uint8_t indices[] = {0, 1, 2, 3, 4, 5, 6, 255};
        struct stripe stripe = make_stripe(&layout, 0, COUNT_OF(indices), indices);
        uint8_t places[4];
        first_subset(4, places);
        do {
            const uint8_t turned[] = {places[2], places[0], places[3], places[1]};
            assert_int_equal(decode_from(&stripe, places), 0);
            assert_int_equal(decode_from(&stripe, turned), 0);
        } while (next_subset(4, 8, places));
        free_stripe(&stripe);
    }
}

/* A share's bytes depend neither on which others are made nor on what lies behind the stripe. */
static void test_same_blocks_alone(void **state)
{
    static const uint8_t all[] = {9, 0, 200, 2, 1, 7, 3};

    for (enum share_format format = SHARE_CHECKED; format < SHARE_FORMATS; format++) {
        struct share_layout layout = layout_of(format, 3, 4096, 12288 + 100);
        struct stripe together = make_stripe(&layout, 1, COUNT_OF(all), all);
        for (unsigned s = 0; s < COUNT_OF(all); s++) {
            struct stripe alone = together;
            random_fill(alone.data + alone.size, alone.room - alone.size);
            alone.count = 1;
            alone.indices[0] = all[s];
            encode(&alone);
            assert_memory_equal(alone.blocks[0], together.blocks[s], together.block_size);
            free(alone.blocks[0]);
        }
        free_stripe(&together);
    }
}

/* The blocks of a stripe of zeros are the same whichever way they are made. */
static void assert_zeros(const struct share_layout *layout, uint64_t stripe, unsigned count,
                         const uint8_t indices[])
{
    size_t room = layout->required * layout_payload_size(layout, stripe);
    size_t size = layout_block_size(layout, stripe);
    cleanup_encoder struct encoder *encoder = NULL;
    cleanup_free uint8_t *data = calloc(room, 1);
    uint8_t *expected[256], *blocks[256];

    assert_non_null(data);
    assert_int_equal(encoder_new(layout, count, indices, &encoder), 0);
    for (unsigned s = 0; s < count; s++) {
        expected[s] = exact_bytes(size);
        blocks[s] = exact_bytes(size);
        memset(expected[s], 0x5a, size);
        memset(blocks[s], 0xa5, size);
    }
    assert_int_equal(encoder_run(encoder, stripe, data, tag, expected), 0);
    assert_int_equal(encoder_run_zeros(encoder, stripe, blocks), 0);
    for (unsigned s = 0; s < count; s++) {
        assert_int_equal(memcmp(blocks[s], expected[s], size), 0);
        free(expected[s]);
        free(blocks[s]);
    }
}

/* The next size of a last stripe, or 0: all small ones, some of the large ones, and a full one. */
static uint64_t next_size(uint64_t size, uint64_t full)
{
    uint64_t next = size + (size < 3 * 4096 ? 1 : random_between(1, 200));

    if (size == full)
        return 0;
    return next < full ? next : full;
}

/* Alone, and behind others. */
static void test_zeros_of_any_size(void **state)
{
    static const uint8_t indices[] = {0, 1, 2, 3, 255};

    for (enum share_format format = SHARE_CHECKED; format < SHARE_SEALED; format++) {
        for (unsigned required = 1; required <= 3; required++) {
            struct share_layout layout = layout_of(format, required, 4096, 1);
            uint64_t full = layout_full_stripe_size(&layout);
            for (uint64_t size = 1; size > 0; size = next_size(size, full)) {
                uint64_t before = size % 3;
                layout = layout_of(format, required, 4096, before * full + size);
                assert_int_equal(layout_stripe_size(&layout, before), size);
                assert_zeros(&layout, before, COUNT_OF(indices), indices);
            }
        }
    }
}

static void test_zeros_of_random_layouts(void **state)
{
    uint8_t indices[256];

    for (unsigned round = 0; round < 60; round++) {
        unsigned total = (unsigned)random_between(1, 256);
        unsigned required = (unsigned)random_between(1, total < 255 ? total : 255);
        struct share_layout layout =
            layout_of((enum share_format)random_below(3), required,
                      UINT32_C(4096) << random_below(3), random_between(1, 2000000));
        random_indices(total, 256, indices);
        assert_zeros(&layout, layout_stripes(&layout) - 1, total, indices);
        assert_zeros(&layout, random_below(layout_stripes(&layout)), total, indices);
    }
}

/* 255 MiB of zeros, which are nowhere in memory. */
static void test_largest_stripe_of_zeros(void **state)
{
    struct share_layout layout =
        layout_of(SHARE_CHECKED, 255, BLOCK_SIZE_MAX, (uint64_t)4 * 255 * BLOCK_SIZE_MAX);

    assert_zeros(&layout, 3, 2, (uint8_t[]){7, 255});
}

/* What is made so is a stripe of zeros like any other. */
static void test_zeros_decode(void **state)
{
    static const uint8_t indices[] = {6, 1, 9};

    for (enum share_format format = SHARE_CHECKED; format < SHARE_SEALED; format++) {
        struct share_layout layout = layout_of(format, 3, 4096, 10000);
        struct stripe stripe = make_stripe(&layout, 0, COUNT_OF(indices), indices);
        cleanup_encoder struct encoder *encoder = NULL;
        assert_int_equal(encoder_new(&layout, COUNT_OF(indices), indices, &encoder), 0);
        assert_int_equal(encoder_run_zeros(encoder, 0, stripe.blocks), 0);
        memset(stripe.data, 0, stripe.room);
        assert_int_equal(decode_first(&stripe), 0);
        free_stripe(&stripe);
    }
}

/* The block of docs/format.md's example. */
static void test_example(void **state)
{
    static const uint8_t expected[] = {
        0xe3, 0x53, 0x66, 0x76, 0x19, 0xec, 0x66, 0x4b, 0x49, 0x65, 0x5f, 0xc9,
        0x69, 0x21, 0x65, 0xfb, 0x10, 0x11, 0xb0, 0xad, 0x5e, 0x99, 0xb7, 0x99,
        0x66, 0x96, 0xb0, 0xbf, 0xe7, 0x99, 0xf6, 0x6d, 0x6c, 0x32, 0xbd, 0x38,
    };
    struct share_layout layout = layout_of(SHARE_CHECKED, 3, 65536, 10);
    cleanup_encoder struct encoder *encoder = NULL;
    uint8_t data[12] = "0123456789", block[sizeof expected], *blocks[] = {block};

    assert_int_equal(encoder_new(&layout, 1, (uint8_t[]){4}, &encoder), 0);
    assert_int_equal(encoder_run(encoder, 0, data, tag, blocks), 0);
    assert_memory_equal(block, expected, sizeof expected);
}

/* Four shares of two different stripes: 0 and 5 of the one, 1 and 6 of the other. */
static void test_different_digests(void **state)
{
    struct share_layout layout = layout_of(SHARE_CHECKED, 2, 4096, 8000);
    struct stripe one = make_stripe(&layout, 0, 4, (uint8_t[]){0, 5, 1, 6});
    struct stripe other = make_stripe(&layout, 0, 4, (uint8_t[]){0, 5, 1, 6});

    for (unsigned s = 2; s < 4; s++) {
        uint8_t *kept = one.blocks[s];
        one.blocks[s] = other.blocks[s];
        other.blocks[s] = kept;
    }
    assert_int_equal(decode_from(&one, (uint8_t[]){0, 1}), 0);
    assert_int_equal(decode_from(&other, (uint8_t[]){1, 0}), 0);
    assert_int_equal(decode_from(&one, (uint8_t[]){0, 2}), -EBADMSG);
    assert_int_equal(decode_from(&one, (uint8_t[]){2, 0}), -EBADMSG);
    assert_int_equal(decode_from(&one, (uint8_t[]){1, 3}), -EBADMSG);
    assert_int_equal(decode_from(&other, (uint8_t[]){3, 0}), -EBADMSG);
    free_stripe(&one);
    free_stripe(&other);
}

static void test_digest_of_any_share_counts(void **state)
{
    struct share_layout layout = layout_of(SHARE_CHECKED, 5, 4096, 20000);
    struct stripe stripe = make_stripe(&layout, 0, 5, (uint8_t[]){0, 1, 7, 3, 9});

    for (unsigned s = 0; s < 5; s++) {
        for (unsigned byte = 0; byte < HASH_SIZE; byte++) {
            stripe.blocks[s][byte] ^= 0x10;
            assert_int_equal(decode_first(&stripe), -EBADMSG);
            stripe.blocks[s][byte] ^= 0x10;
        }
    }
    assert_int_equal(decode_first(&stripe), 0);
    free_stripe(&stripe);
}

static void test_index_twice(void **state)
{
    static const uint8_t twins[][3] = {{0, 0, 2}, {1, 2, 1}, {3, 4, 4},
                                       {4, 0, 4}, {3, 3, 3}, {0, 0, 0}};

    for (enum share_format format = SHARE_CHECKED; format < SHARE_FORMATS; format++) {
        struct share_layout layout = layout_of(format, 3, 4096, 100);
        struct stripe stripe = make_stripe(&layout, 0, 5, (uint8_t[]){0, 1, 2, 3, 4});
        for (size_t t = 0; t < COUNT_OF(twins); t++)
            assert_int_equal(decode_from(&stripe, twins[t]), -EINVAL);
        free_stripe(&stripe);
    }
}

/* Who can write a store can write a check; the digest is what then holds. */
static void test_forged_block(void **state)
{
    struct share_layout layout = layout_of(SHARE_CHECKED, 3, 4096, 3 * 4096);
    struct stripe stripe = make_stripe(&layout, 0, 3, (uint8_t[]){1, 0, 17});

    for (unsigned s = 0; s < 3; s++) {
        for (unsigned round = 0; round < 50; round++) {
            uint8_t *byte = &stripe.blocks[s][HASH_SIZE + random_below(4096)], kept = *byte;
            *byte ^= (uint8_t)random_between(1, 255);
            block_seal(stripe.blocks[s], 4096, 0, stripe.indices[s]);
            assert_true(block_is_intact(stripe.blocks[s], 4096, 0, stripe.indices[s]));
            assert_int_equal(decode_first(&stripe), -EBADMSG);
            *byte = kept;
        }
    }
    assert_int_equal(decode_first(&stripe), 0);
    free_stripe(&stripe);
}

/* A right block of the wrong share: its index does not fit what it holds. */
static void test_wrong_index(void **state)
{
    struct share_layout layout = layout_of(SHARE_CHECKED, 3, 4096, 3 * 4096);
    struct stripe stripe = make_stripe(&layout, 0, 3, (uint8_t[]){0, 1, 17});

    stripe.indices[2] = 18;
    assert_int_equal(decode_first(&stripe), -EBADMSG);
    stripe.indices[2] = 17;
    stripe.indices[0] = 2;
    assert_int_equal(decode_first(&stripe), -EBADMSG);
    free_stripe(&stripe);
}

/* The digest is bound to the stripe's place. */
static void test_wrong_stripe(void **state)
{
    struct share_layout layout = layout_of(SHARE_CHECKED, 2, 4096, 3 * 8192);
    struct stripe stripe = make_stripe(&layout, 1, 2, (uint8_t[]){3, 1});

    stripe.number = 2;
    assert_int_equal(decode_first(&stripe), -EBADMSG);
    stripe.number = 1;
    assert_int_equal(decode_first(&stripe), 0);
    free_stripe(&stripe);
}

/* One encoder for all threads. */
struct shared {
    struct stripe stripe;
    const struct encoder *encoder;
    bool same[8];
};

static void encode_again(void *argument, unsigned number)
{
    struct shared *shared = argument;
    struct stripe *stripe = &shared->stripe;
    uint8_t *blocks[4];

    shared->same[number] = true;
    for (unsigned s = 0; s < 4; s++)
        blocks[s] = exact_bytes(stripe->block_size);
    for (unsigned round = 0; round < 100; round++) {
        cleanup_free uint8_t *data = exact_copy(stripe->data, stripe->room);
        if (encoder_run(shared->encoder, stripe->number, data, tag, blocks) != 0)
            shared->same[number] = false;
        for (unsigned s = 0; s < 4; s++)
            shared->same[number] &= memcmp(blocks[s], stripe->blocks[s], stripe->block_size) == 0;
    }
    for (unsigned s = 0; s < 4; s++)
        free(blocks[s]);
}

static void test_threads(void **state)
{
    for (enum share_format format = SHARE_CHECKED; format < SHARE_FORMATS; format++) {
        struct share_layout layout = layout_of(format, 3, 4096, 5000);
        struct shared shared = {.stripe = make_stripe(&layout, 0, 4, (uint8_t[]){0, 2, 5, 9})};
        cleanup_encoder struct encoder *encoder = NULL;
        assert_int_equal(encoder_new(&layout, 4, shared.stripe.indices, &encoder), 0);
        shared.encoder = encoder;
        in_threads(COUNT_OF(shared.same), encode_again, &shared);
        for (unsigned t = 0; t < COUNT_OF(shared.same); t++)
            assert_true(shared.same[t]);
        free_stripe(&shared.stripe);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_largest_k_and_n),
        cmocka_unit_test(test_every_subset),
        cmocka_unit_test(test_same_blocks_alone),
        cmocka_unit_test(test_zeros_of_any_size),
        cmocka_unit_test(test_zeros_of_random_layouts),
        cmocka_unit_test(test_largest_stripe_of_zeros),
        cmocka_unit_test(test_zeros_decode),
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_different_digests),
        cmocka_unit_test(test_digest_of_any_share_counts),
        cmocka_unit_test(test_index_twice),
        cmocka_unit_test(test_forged_block),
        cmocka_unit_test(test_wrong_index),
        cmocka_unit_test(test_wrong_stripe),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests_name("stripe", tests, support_set_up, NULL);
}
