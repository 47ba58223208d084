/* SPDX-License-Identifier: MIT */
/* The oracle is the formula of docs/format.md, in 128 bits. */
#include "support.h"

#include "share/format.h"

#include <errno.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

static const unsigned requireds[] = {1, 2, 3, 4, 5, 7, 16, 100, 128, 254, 255};
static const uint32_t block_sizes[] = {4096, 65536, 1 << 20};

static bool has_checks(enum share_format format)
{
    return format == SHARE_CHECKED || format == SHARE_SEALED;
}

static unsigned bits_for(unsigned number)
{
    unsigned bits = 0;

    while (1U << bits < number)
        bits++;
    return bits;
}

static unsigned expected_header(enum share_format format, unsigned required, unsigned total)
{
    unsigned bits = 8 + bits_for(total) + bits_for(required) + bits_for(total);

    if (has_checks(format))
        return 64;
    if (format == SHARE_CLASSIC)
        return 3;
    return bits <= 16 ? 2 : bits <= 24 ? 3 : 4;
}

static wide expected_share(enum share_format format, unsigned required, unsigned total,
                           uint32_t block_size, uint64_t source_size)
{
    wide header = expected_header(format, required, total), size = source_size;
    wide block = format == SHARE_FEC ? 4096 : block_size, stripe = required * block;

    if (format == SHARE_CLASSIC)
        return header + (size + required - 1) / required;
    wide data = size / stripe * block + (size % stripe + required - 1) / required;
    wide stripes = (size + stripe - 1) / stripe;
    return header + data + (has_checks(format) ? stripes * 32 : 0);
}

static struct share_layout layout_of(enum share_format format, unsigned required,
                                     uint32_t block_size, uint64_t source_size)
{
    unsigned total = required < 20 ? 20 : 256;
    struct share_layout layout = {0};

    assert_int_equal(layout_new(format, required, total, block_size, source_size, &layout), 0);
    assert_int_equal(layout.format, format);
    assert_int_equal(layout.required, required);
    assert_int_equal(layout.source_size, source_size);
    assert_int_equal(layout.header_size, expected_header(format, required, total));
    if (format != SHARE_CLASSIC)
        assert_int_equal(layout.block_size, format == SHARE_FEC ? 4096 : block_size);
    assert_int_equal(layout_share_size(&layout),
                     expected_share(format, required, total, block_size, source_size));
    return layout;
}

/* Blocks and stripes lie one behind the other, without a gap, from the first to the last. */
static void assert_blocks(const struct share_layout *layout)
{
    uint64_t stripes = layout_stripes(layout), at = layout->header_size, source = 0;

    for (uint64_t t = 0; t < stripes; t++) {
        size_t stripe = layout_stripe_size(layout, t), payload = layout_payload_size(layout, t);
        size_t overhead = has_checks(layout->format) ? 32 : 0;
        assert_int_equal(layout_block_offset(layout, t), at);
        assert_int_equal(layout_block_size(layout, t), payload + overhead);
        assert_int_equal(payload, (stripe + layout->required - 1) / layout->required);
        assert_in_range(stripe, 1, layout_full_stripe_size(layout));
        if (t + 1 < stripes)
            assert_int_equal(stripe, layout_full_stripe_size(layout));
        assert_in_range(payload + overhead, 1, layout_full_block_size(layout));
        at += layout_block_size(layout, t);
        source += stripe;
    }
    assert_int_equal(at, layout_share_size(layout));
    assert_int_equal(source, layout->source_size);
}

static void assert_size(enum share_format format, unsigned required, uint32_t block_size,
                        uint64_t source_size)
{
    struct share_layout layout = layout_of(format, required, block_size, source_size);

    assert_int_equal(layout_full_stripe_size(&layout), (size_t)required * layout.block_size);
    assert_int_equal(layout_full_block_size(&layout),
                     layout.block_size + (has_checks(format) ? 32 : 0));
    assert_blocks(&layout);
}

static void assert_sizes(enum share_format format, unsigned required, uint32_t block_size)
{
    uint64_t stripe = layout_full_stripe_size(&(struct share_layout){
        .required = (uint8_t)required, .block_size = format == SHARE_FEC ? 4096 : block_size});
    const uint64_t sizes[] = {
        0,
        1,
        required - 1,
        required,
        required + 1,
        stripe - 1,
        stripe,
        stripe + 1,
        stripe + required,
        2 * stripe - 1,
        2 * stripe,
        2 * stripe + 1,
        5 * stripe + stripe / 3,
    };

    for (size_t s = 0; s < COUNT_OF(sizes); s++)
        assert_size(format, required, block_size, sizes[s]);
    for (unsigned round = 0; round < 50; round++)
        assert_size(format, required, block_size, random_below(20 * stripe));
}

static void test_sizes(void **state)
{
    for (enum share_format format = SHARE_CHECKED; format < SHARE_FORMATS; format++) {
        for (size_t k = 0; k < COUNT_OF(requireds); k++) {
            for (size_t b = 0; b < COUNT_OF(block_sizes); b++)
                assert_sizes(format, requireds[k], block_sizes[b]);
        }
    }
}

static void test_empty(void **state)
{
    for (enum share_format format = SHARE_CHECKED; format < SHARE_FORMATS; format++) {
        struct share_layout layout = layout_of(format, 3, BLOCK_SIZE_DEFAULT, 0);
        assert_int_equal(layout_stripes(&layout), 0);
        assert_int_equal(layout_share_size(&layout), layout.header_size);
    }
}

/* "0123456789", k = 3: 64 + 32 + 4 bytes; zfec's header of 3 of 20 has three bytes. */
static void test_example(void **state)
{
    struct share_layout layout = layout_of(SHARE_CHECKED, 3, BLOCK_SIZE_DEFAULT, 10);

    assert_int_equal(layout_share_size(&layout), 100);
    assert_int_equal(layout_block_offset(&layout, 0), 64);
    assert_int_equal(layout_payload_size(&layout, 0), 4);
    layout = layout_of(SHARE_FEC, 3, 0, 10);
    assert_int_equal(layout_share_size(&layout), 7);
    layout = layout_of(SHARE_CLASSIC, 3, 0, 10);
    assert_int_equal(layout_share_size(&layout), 7);
}

static void assert_last_block(const struct share_layout *layout)
{
    uint64_t last = layout_stripes(layout) - 1, stripe = layout_full_stripe_size(layout);

    assert_int_equal(layout_block_offset(layout, last) + layout_block_size(layout, last),
                     layout_share_size(layout));
    assert_int_equal(last * stripe + layout_stripe_size(layout, last), layout->source_size);
    if (last > 0)
        assert_int_equal(layout_block_offset(layout, last - 1) + layout_full_block_size(layout),
                         layout_block_offset(layout, last));
}

static void test_large_sources(void **state)
{
    for (unsigned round = 0; round < 20000; round++) {
        uint64_t size = (random_next() >> random_between(2, 62)) + 1;
        unsigned required = (unsigned)random_between(1, 255);
        uint32_t block_size = UINT32_C(1) << random_between(12, 20);
        struct share_layout layout =
            layout_of((enum share_format)random_below(3), required, block_size, size);
        assert_last_block(&layout);
    }
}

/* Extensions of the header move the blocks, and nothing else. */
static void test_extensions(void **state)
{
    struct share_layout layout = layout_of(SHARE_CHECKED, 3, 4096, 30000), longer = layout;

    longer.header_size += UINT32_MAX;
    assert_blocks(&longer);
    assert_int_equal(layout_share_size(&longer), layout_share_size(&layout) + UINT32_MAX);
}

/* Around the largest source whose share is a file: what fits is laid out, and one byte more not. */
static void assert_border(enum share_format format, unsigned required, uint32_t block_size)
{
    uint64_t fits = 0, excess = INT64_MAX;
    struct share_layout layout = {.source_size = 4711};

    if (expected_share(format, required, 256, block_size, INT64_MAX) <= INT64_MAX)
        fits = excess++;
    while (fits + 1 < excess) {
        uint64_t middle = fits + (excess - fits) / 2;
        if (expected_share(format, required, 256, block_size, middle) <= INT64_MAX)
            fits = middle;
        else
            excess = middle;
    }
    assert_int_equal(layout_new(format, required, 256, block_size, excess, &layout), -EFBIG);
    assert_int_equal(layout.source_size, 4711);
    assert_int_equal(layout_new(format, required, 256, block_size, fits, &layout), 0);
    assert_int_equal(layout.source_size, fits);
    assert_int_equal(layout_share_size(&layout),
                     expected_share(format, required, 256, block_size, fits));
    assert_last_block(&layout);
}

static void test_border(void **state)
{
    for (enum share_format format = SHARE_CHECKED; format < SHARE_FORMATS; format++) {
        for (unsigned required = 1; required <= 255; required++) {
            for (size_t b = 0; b < COUNT_OF(block_sizes); b++)
                assert_border(format, required, block_sizes[b]);
        }
    }
}

static void test_too_large(void **state)
{
    static const uint64_t sizes[] = {UINT64_C(1) << 63, (UINT64_C(1) << 63) + 1, UINT64_MAX - 4096,
                                     UINT64_MAX - 1, UINT64_MAX};
    struct share_layout layout = {.source_size = 4711};

    for (enum share_format format = SHARE_CHECKED; format < SHARE_FORMATS; format++) {
        for (size_t k = 0; k < COUNT_OF(requireds); k++) {
            for (size_t s = 0; s < COUNT_OF(sizes); s++)
                assert_int_equal(
                    layout_new(format, requireds[k], 256, BLOCK_SIZE_DEFAULT, sizes[s], &layout),
                    -EFBIG);
        }
    }
    assert_int_equal(layout.source_size, 4711);
}

static void test_format_names(void **state)
{
    static const char *const expected[] = {"checked", "classic", "fec", "sealed"};
    static const char *const others[] = {"", "Checked", "checked ", "check", "fec2", "zfec"};

    for (enum share_format format = SHARE_CHECKED; format < SHARE_FORMATS; format++) {
        enum share_format found = (format + 1) % SHARE_FORMATS;
        assert_string_equal(formats[format]->name, expected[format]);
        assert_int_equal(share_format_from_name(expected[format], &found), 0);
        assert_int_equal(found, format);
        assert_non_null(strstr(FORMAT_NAMES, expected[format]));
    }
    for (size_t o = 0; o < COUNT_OF(others); o++) {
        enum share_format found = SHARE_FEC;
        assert_int_equal(share_format_from_name(others[o], &found), -EINVAL);
        assert_int_equal(found, SHARE_FEC);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),      cmocka_unit_test(test_empty),
        cmocka_unit_test(test_example),    cmocka_unit_test(test_large_sources),
        cmocka_unit_test(test_extensions), cmocka_unit_test(test_border),
        cmocka_unit_test(test_too_large),  cmocka_unit_test(test_format_names),
    };

    return cmocka_run_group_tests_name("layout", tests, support_set_up, NULL);
}
