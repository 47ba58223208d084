/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "base/bytes.h"
#include "share/block.h"
#include "share/format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

__extension__ typedef __int128 wide;

/* Of a checked header, as docs/format.md has them. */
enum {
    AT_MAGIC = 0,
    AT_REQUIRED = 8,
    AT_INDEX = 9,
    AT_BLOCK_BITS = 10,
    AT_FLAGS = 11,
    AT_EXTENSIONS = 12,
    AT_SIZE = 16,
    AT_MTIME = 24,
    AT_ZERO = 32,
    AT_HASH = 48,
    CHECKED_SIZE = 64,
};

/* The header of docs/format.md's example: "0123456789", k = 3, share 4. */
static const uint8_t example[CHECKED_SIZE] = {
    0x00, 0x5a, 0x46, 0x45, 0x43, 0x46, 0x53, 0x31, 0x03, 0x04, 0x10, 0x00, 0,    0,    0,    0,
    0x0a, 0,    0,    0,    0,    0,    0,    0,    0x15, 0xcd, 0xe7, 0x24, 0x95, 0xcc, 0x6d, 0x13,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0xe0, 0xbb, 0x8c, 0x98, 0x40, 0xab, 0xe9, 0xa6, 0xd7, 0x38, 0xcc, 0x3f, 0x5c, 0xe6, 0x70, 0x19,
};

/* Reads from memory of that very size. */
static int read_exact(enum share_format format, const void *data, size_t size, uint64_t share_size,
                      struct share_header *ret)
{
    uint8_t *exact = exact_copy(data, size);

    int r = header_read(format, exact, size, share_size, ret);
    free(exact);
    return r;
}

static void assert_refused_by(enum share_format format, const void *data, size_t size,
                              uint64_t share_size, int error)
{
    struct share_header header, before;

    memset(&header, 0x5a, sizeof header);
    before = header;
    assert_int_equal(read_exact(format, data, size, share_size, &header), error);
    assert_memory_equal(&header, &before, sizeof header);
}

static void assert_refused(enum share_format format, const void *data, size_t size,
                           uint64_t share_size)
{
    assert_refused_by(format, data, size, share_size, -EBADMSG);
}

static void assert_same(const struct share_header *a, const struct share_header *b)
{
    assert_int_equal(a->layout.format, b->layout.format);
    assert_int_equal(a->layout.required, b->layout.required);
    assert_int_equal(a->layout.block_size, b->layout.block_size);
    assert_int_equal(a->layout.header_size, b->layout.header_size);
    assert_int_equal(a->layout.source_size, b->layout.source_size);
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->total, b->total);
    assert_int_equal(a->mtime_ns, b->mtime_ns);
}

/* As it is written it is read, from just the bytes that it says it has. */
static void assert_round_trip(const struct share_header *header)
{
    size_t size = (size_t)header->layout.header_size;
    uint8_t bytes[HEADER_SIZE_MAX];
    struct share_header read = {0};

    memset(bytes, 0x5a, sizeof bytes);
    header_write(header, bytes);
    for (size_t at = size; at < sizeof bytes; at++)
        assert_int_equal(bytes[at], 0x5a);
    assert_int_equal(
        read_exact(header->layout.format, bytes, size, layout_share_size(&header->layout), &read),
        0);
    assert_same(&read, header);
}

static uint64_t random_size(void)
{
    return random_next() >> random_between(2, 63);
}

static void test_checked_round_trips(void **state)
{
    for (unsigned round = 0; round < 20000; round++) {
        struct share_header header = {.index = (uint8_t)random_next(),
                                      .mtime_ns = (int64_t)random_next()};
        assert_int_equal(layout_new(SHARE_CHECKED, (unsigned)random_between(1, 255), 256,
                                    UINT32_C(1) << random_between(12, 20), random_size(),
                                    &header.layout),
                         0);
        assert_round_trip(&header);
    }
}

static void test_checked_example(void **state)
{
    struct share_header header = {.index = 4, .mtime_ns = INT64_C(1400000000123456789)}, read;
    uint8_t bytes[CHECKED_SIZE];

    assert_int_equal(layout_new(SHARE_CHECKED, 3, 20, 65536, 10, &header.layout), 0);
    header_write(&header, bytes);
    assert_memory_equal(bytes, example, sizeof bytes);
    assert_int_equal(header_read(SHARE_CHECKED, example, sizeof example, 100, &read), 0);
    assert_same(&read, &header);
}

static void test_checked_every_bit(void **state)
{
    uint8_t bytes[CHECKED_SIZE];

    memcpy(bytes, example, sizeof bytes);
    for (unsigned bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_refused(SHARE_CHECKED, bytes, sizeof bytes, 100);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_checked_too_short(void **state)
{
    for (size_t size = 0; size < sizeof example; size++)
        assert_refused(SHARE_CHECKED, example, size, size);
}

/* The example's header, to be changed and given a hash that fits. */
struct changed {
    uint8_t bytes[CHECKED_SIZE];
};

static struct changed changed_byte(unsigned at, uint8_t value)
{
    struct changed header;

    memcpy(header.bytes, example, sizeof example);
    header.bytes[at] = value;
    hash(header.bytes, AT_HASH, 0, header.bytes + AT_HASH);
    return header;
}

static struct changed changed_size(uint8_t required, uint64_t source_size, uint32_t extensions)
{
    struct changed header = changed_byte(AT_REQUIRED, required);

    store_le64(header.bytes + AT_SIZE, source_size);
    store_le32(header.bytes + AT_EXTENSIONS, extensions);
    hash(header.bytes, AT_HASH, 0, header.bytes + AT_HASH);
    return header;
}

static bool is_read(const struct changed *header, struct share_header *ret)
{
    return read_exact(SHARE_CHECKED, header->bytes, CHECKED_SIZE, 100, ret) == 0;
}

static void assert_changed_refused(struct changed header)
{
    assert_refused(SHARE_CHECKED, header.bytes, CHECKED_SIZE, 100);
}

/* Every value of every single byte, with a hash that fits. */
static void test_checked_fields(void **state)
{
    uint8_t written[HEADER_SIZE_MAX];
    struct share_header read;

    for (unsigned value = 0; value < 256; value++) {
        struct changed header = changed_byte(AT_REQUIRED, (uint8_t)value);
        assert_int_equal(is_read(&header, &read), value != 0);
        header = changed_byte(AT_INDEX, (uint8_t)value);
        assert_true(is_read(&header, &read));
        assert_int_equal(read.index, value);
        header = changed_byte(AT_BLOCK_BITS, (uint8_t)value);
        assert_int_equal(is_read(&header, &read), value >= 12 && value <= 20);
        header = changed_byte(AT_FLAGS, (uint8_t)value);
        assert_int_equal(is_read(&header, &read), value <= 1);
        if (value <= 1) { /* a flag is all that tells a sealed share from a checked one */
            assert_int_equal(read.layout.format, value ? SHARE_SEALED : SHARE_CHECKED);
            header_write(&read, written);
            assert_memory_equal(written, header.bytes, CHECKED_SIZE);
        }
        for (unsigned at = AT_ZERO; at < AT_HASH; at++) {
            header = changed_byte(at, (uint8_t)value);
            assert_int_equal(is_read(&header, &read), value == 0);
        }
        for (unsigned at = AT_MAGIC; at < AT_REQUIRED; at++) {
            header = changed_byte(at, (uint8_t)value);
            assert_int_equal(is_read(&header, &read), value == example[at]);
        }
    }
}

static void test_checked_refusals(void **state)
{
    assert_changed_refused(changed_byte(AT_REQUIRED, 0));
    assert_changed_refused(changed_byte(AT_BLOCK_BITS, 11));
    assert_changed_refused(changed_byte(AT_BLOCK_BITS, 21));
    assert_changed_refused(changed_byte(AT_BLOCK_BITS, 44));
    assert_changed_refused(changed_byte(AT_BLOCK_BITS, 255));
    assert_changed_refused(changed_byte(AT_FLAGS, 2));
    assert_changed_refused(changed_byte(AT_FLAGS, 3));
    assert_changed_refused(changed_byte(AT_FLAGS, 0x80));
    assert_changed_refused(changed_byte(AT_ZERO, 1));
    assert_changed_refused(changed_byte(AT_HASH - 1, 1));
    assert_changed_refused(changed_size(3, UINT64_C(1) << 63, 0));
    assert_changed_refused(changed_size(255, UINT64_C(1) << 63, 0));
    assert_changed_refused(changed_size(255, UINT64_MAX, 0));
    /* A share of it would not fit a file. */
    assert_changed_refused(changed_size(1, INT64_MAX, 0));
    assert_changed_refused(changed_size(1, INT64_MAX - 64, 0));
}

static void test_checked_size_and_time(void **state)
{
    struct changed header = changed_size(255, INT64_MAX, 0);
    struct share_header read;

    assert_true(is_read(&header, &read));
    assert_int_equal(read.layout.source_size, INT64_MAX);
    header = changed_byte(AT_MTIME + 7, 0x80);
    assert_true(is_read(&header, &read));
    assert_int_equal(read.mtime_ns, (int64_t)load_le64(header.bytes + AT_MTIME));
    assert_true(read.mtime_ns < 0);
}

static void test_checked_extensions(void **state)
{
    static const uint32_t lengths[] = {0,         1, 64, 0x01020304, INT32_MAX, UINT32_C(1) << 31,
                                       UINT32_MAX};
    struct share_header read;

    for (size_t l = 0; l < COUNT_OF(lengths); l++) {
        struct changed header = changed_size(3, 10, lengths[l]);
        assert_true(is_read(&header, &read));
        assert_int_equal(read.layout.header_size, UINT64_C(64) + lengths[l]);
        assert_int_equal(layout_block_offset(&read.layout, 0), UINT64_C(64) + lengths[l]);
        assert_int_equal(layout_share_size(&read.layout), UINT64_C(100) + lengths[l]);
    }
}

/* What fits a file without extensions need not fit with them. */
static void test_checked_extensions_too_large(void **state)
{
    uint64_t size = UINT64_C(0x7fe0000000000000);
    struct changed header = changed_size(1, size, 0);
    struct share_header read;

    assert_true(is_read(&header, &read));
    uint64_t left = INT64_MAX - layout_share_size(&read.layout);
    if (left > UINT32_MAX)
        size += (left - 1000) / 65568 * 65536;
    header = changed_size(1, size, 0);
    assert_true(is_read(&header, &read));
    left = INT64_MAX - layout_share_size(&read.layout);
    assert_in_range(left, 1, UINT32_MAX - 1);
    header = changed_size(1, size, (uint32_t)left);
    assert_true(is_read(&header, &read));
    assert_changed_refused(changed_size(1, size, (uint32_t)left + 1));
    assert_changed_refused(changed_size(1, size, UINT32_MAX));
}

static void test_classic_round_trips(void **state)
{
    for (unsigned required = 1; required <= 255; required++) {
        for (unsigned round = 0; round < 100; round++) {
            uint64_t size = round < 2 * required ? round : random_size();
            struct share_header header = {.index = (uint8_t)random_next()};
            assert_int_equal(layout_new(SHARE_CLASSIC, required, 256, 0, size, &header.layout), 0);
            assert_round_trip(&header);
        }
    }
}

static void test_classic_example(void **state)
{
    struct share_header header = {.index = 4};
    uint8_t bytes[HEADER_SIZE_MAX];

    assert_int_equal(layout_new(SHARE_CLASSIC, 3, 20, 0, 10, &header.layout), 0);
    header_write(&header, bytes);
    assert_memory_equal(bytes, ((uint8_t[]){3, 4, 1}), 3);
}

static void test_classic_refusals(void **state)
{
    for (unsigned size = 0; size < 3; size++)
        assert_refused(SHARE_CLASSIC, (uint8_t[]){3, 4, 0}, size, size);
    for (unsigned rest = 3; rest < 256; rest++)
        assert_refused(SHARE_CLASSIC, (uint8_t[]){3, 4, (uint8_t)rest}, 3, 7);
    assert_refused(SHARE_CLASSIC, (uint8_t[]){0, 0, 0}, 3, 7);
    assert_refused_by(SHARE_CLASSIC, example, sizeof example, 100, -EMEDIUMTYPE);
}

/* Nothing behind the header, and yet a rest. */
static void test_classic_nothing_but_a_rest(void **state)
{
    struct share_header read;

    for (unsigned required = 2; required < 256; required++) {
        for (unsigned rest = 1; rest < required; rest++)
            assert_refused(SHARE_CLASSIC, (uint8_t[]){(uint8_t)required, 0, (uint8_t)rest}, 3, 3);
    }
    assert_int_equal(read_exact(SHARE_CLASSIC, (uint8_t[]){3, 0, 0}, 3, 3, &read), 0);
    assert_int_equal(read.layout.source_size, 0);
}

static void test_classic_huge_shares(void **state)
{
    static const uint64_t sizes[] = {UINT64_MAX,          UINT64_MAX - 1,     UINT64_C(1) << 63,
                                     INT64_MAX,           UINT64_MAX / 2 + 4, UINT64_MAX / 3 + 4,
                                     UINT64_MAX / 255 + 4};
    struct share_header read;

    for (unsigned required = 2; required < 256; required++) {
        for (size_t s = 0; s < COUNT_OF(sizes); s++) {
            wide source = (wide)(sizes[s] - 3) * required;
            if (source > INT64_MAX)
                assert_refused(SHARE_CLASSIC, (uint8_t[]){(uint8_t)required, 0, 0}, 3, sizes[s]);
        }
    }
    assert_refused(SHARE_CLASSIC, (uint8_t[]){1, 0, 0}, 3, UINT64_MAX);
    assert_refused(SHARE_CLASSIC, (uint8_t[]){1, 0, 0}, 3, UINT64_C(1) << 63);
    assert_int_equal(read_exact(SHARE_CLASSIC, (uint8_t[]){1, 0, 0}, 3, INT64_MAX, &read), 0);
    assert_int_equal(read.layout.source_size, INT64_MAX - 3);
}

static unsigned bits_for(unsigned number)
{
    unsigned bits = 0;

    while (1U << bits < number)
        bits++;
    return bits;
}

/* A fec header, bit by bit; the fields need not make sense. */
struct fec {
    uint8_t bytes[4];
    size_t size;
};

static unsigned put_bits(struct fec *header, unsigned at, unsigned value, unsigned count)
{
    for (unsigned bit = 0; bit < count; bit++, at++) {
        if (value >> (count - 1 - bit) & 1)
            header->bytes[at / 8] |= (uint8_t)(0x80 >> at % 8);
    }
    return at;
}

static struct fec fec_header(unsigned total, unsigned required, unsigned pad, unsigned index)
{
    struct fec header = {0};
    unsigned at = put_bits(&header, 0, total - 1, 8);

    at = put_bits(&header, at, required - 1, bits_for(total));
    at = put_bits(&header, at, pad, bits_for(required));
    at = put_bits(&header, at, index, bits_for(total));
    header.size = at <= 16 ? 2 : (at + 7) / 8;
    return header;
}

static void assert_fec(unsigned total, unsigned required, unsigned pad, unsigned index)
{
    uint64_t payload = random_between(1, 100000), size = payload * required - pad;
    struct share_header header = {.index = (uint8_t)index, .total = (uint16_t)total};
    struct fec expected = fec_header(total, required, pad, index);
    uint8_t written[HEADER_SIZE_MAX];

    assert_int_equal(formats[SHARE_FEC]->header_size(required, total), expected.size);
    assert_int_equal(layout_new(SHARE_FEC, required, total, 0, size, &header.layout), 0);
    assert_int_equal(layout_share_size(&header.layout), expected.size + payload);
    header_write(&header, written);
    assert_memory_equal(written, expected.bytes, expected.size);
    assert_round_trip(&header);
}

static void test_fec_small(void **state)
{
    for (unsigned total = 1; total <= 14; total++) {
        for (unsigned required = 1; required <= total; required++) {
            for (unsigned pad = 0; pad < required; pad++) {
                for (unsigned index = 0; index < total; index++)
                    assert_fec(total, required, pad, index);
            }
        }
    }
}

static void test_fec_sample(void **state)
{
    for (unsigned round = 0; round < 50000; round++) {
        unsigned total = (unsigned)random_between(1, 256);
        unsigned required = (unsigned)random_between(1, total < 255 ? total : 255);
        assert_fec(total, required, (unsigned)random_below(required),
                   (unsigned)random_below(total));
    }
    assert_fec(256, 255, 254, 255);
    assert_fec(256, 255, 0, 0);
    assert_fec(256, 1, 0, 255);
    assert_fec(255, 255, 254, 254);
}

/* docs/format.md: m 20, k 3, pad 1, i 7 gives 13 12 70. */
static void test_fec_example(void **state)
{
    struct share_header header = {.index = 7, .total = 20}, read;
    uint8_t bytes[HEADER_SIZE_MAX];

    assert_int_equal(layout_new(SHARE_FEC, 3, 20, 0, 11, &header.layout), 0);
    header_write(&header, bytes);
    assert_memory_equal(bytes, ((uint8_t[]){0x13, 0x12, 0x70}), 3);
    assert_int_equal(read_exact(SHARE_FEC, bytes, 3, 7, &read), 0);
    assert_same(&read, &header);
}

static void test_fec_empty(void **state)
{
    for (unsigned required = 1; required <= 255; required++) {
        struct share_header header = {.total = 256};
        assert_int_equal(layout_new(SHARE_FEC, required, 256, 0, 0, &header.layout), 0);
        assert_round_trip(&header);
    }
}

static void assert_fec_refused(unsigned total, unsigned required, unsigned pad, unsigned index)
{
    struct fec header = fec_header(total, required, pad, index);

    assert_refused(SHARE_FEC, header.bytes, header.size, 1000);
}

static void test_fec_refusals(void **state)
{
    assert_refused_by(SHARE_FEC, example, sizeof example, 100, -EMEDIUMTYPE);
    for (unsigned total = 1; total <= 255; total++) {
        unsigned highest = 1U << bits_for(total);
        for (unsigned beyond = total; beyond < highest; beyond++) {
            assert_fec_refused(total, 1, 0, beyond);     /* i >= m */
            assert_fec_refused(total, beyond + 1, 0, 0); /* k > m */
        }
    }
    for (unsigned required = 1; required <= 255; required++) {
        for (unsigned pad = required; pad < 1U << bits_for(required); pad++)
            assert_fec_refused(256, required, pad, 0);
    }
    assert_fec_refused(256, 256, 0, 0);
}

static void test_fec_truncated(void **state)
{
    static const unsigned totals[] = {1, 3, 20, 200, 256};

    for (size_t t = 0; t < COUNT_OF(totals); t++) {
        struct fec header = fec_header(totals[t], totals[t] < 255 ? totals[t] : 255, 0, 0);
        for (size_t size = 0; size < header.size; size++)
            assert_refused(SHARE_FEC, header.bytes, size, size);
    }
}

/* Filling without anything that is filled up; and more than a file can hold. */
static void test_fec_share_sizes(void **state)
{
    struct fec padded = fec_header(20, 3, 2, 0), plain = fec_header(20, 3, 0, 0);

    assert_refused(SHARE_FEC, padded.bytes, 3, 3);
    assert_refused(SHARE_FEC, plain.bytes, 3, UINT64_MAX);
    assert_refused(SHARE_FEC, plain.bytes, 3, UINT64_MAX / 3 + 3);
    assert_refused(SHARE_FEC, plain.bytes, 3, UINT64_MAX / 3 + 4);
    assert_refused(SHARE_FEC, plain.bytes, 3, INT64_MAX / 3 + 4);
    assert_refused(SHARE_FEC, padded.bytes, 3, UINT64_C(1) << 63);
}

/* What was read and what the file is said to hold do not agree: somebody has cut it meanwhile. */
static void test_sizes_that_disagree(void **state)
{
    struct fec fec = fec_header(20, 3, 1, 7);
    uint8_t bytes[HEADER_SIZE_MAX] = {3, 4, 0};

    for (size_t size = 0; size < 3; size++) {
        assert_refused(SHARE_CLASSIC, bytes, size, 1000);
        assert_refused(SHARE_CLASSIC, bytes, sizeof bytes, size);
        assert_refused(SHARE_FEC, fec.bytes, size, 1000);
    }
    memcpy(bytes, fec.bytes, fec.size);
    for (size_t size = 0; size < 3; size++)
        assert_refused(SHARE_FEC, bytes, sizeof bytes, size);
    for (size_t size = 0; size < sizeof example; size++)
        assert_refused(SHARE_CHECKED, example, size, 1000);
}

/* Whatever the bytes are: an answer, and one that can be written again. */
static void test_noise(void **state)
{
    for (unsigned round = 0; round < 200000; round++) {
        enum share_format format = (enum share_format)random_below(3);
        uint64_t share_size = random_next() >> random_below(64);
        size_t size = share_size < HEADER_SIZE_MAX ? (size_t)share_size : HEADER_SIZE_MAX;
        uint8_t *bytes = exact_bytes(size);
        struct share_header read;
        random_fill(bytes, size);
        if (size > 0 && random_below(2))
            bytes[0] = (uint8_t)random_below(30);
        int r = header_read(format, bytes, size, share_size, &read);
        if (r == 0) {
            assert_int_equal(layout_share_size(&read.layout), share_size);
            assert_round_trip(&read);
        } else {
            assert_int_equal(r, -EBADMSG);
        }
        free(bytes);
    }
}

static void assert_time(int64_t seconds, long nanoseconds)
{
    struct timespec time = {.tv_sec = seconds, .tv_nsec = nanoseconds};
    wide exact = (wide)seconds * 1000000000 + nanoseconds;

    exact = exact > INT64_MAX ? INT64_MAX : exact < INT64_MIN ? INT64_MIN : exact;
    assert_int_equal(header_time(&time), (int64_t)exact);
}

static void test_time(void **state)
{
    assert_time(0, 0);
    assert_time(1400000000, 123456789);
    assert_time(-1, 0);
    assert_time(-1, 999999999);
    assert_time(-1400000000, 1);
    for (unsigned round = 0; round < 10000; round++)
        assert_time((int64_t)random_next() >> random_below(64), (long)random_below(1000000000));
}

/* To the nanosecond, at both ends. */
static void test_time_clamped(void **state)
{
    static const long parts[] = {0,         1,         145224191, 145224192, 145224193,
                                 854775806, 854775807, 854775808, 999999999};

    for (size_t p = 0; p < COUNT_OF(parts); p++) {
        for (int64_t more = -2; more <= 2; more++) {
            assert_time(INT64_C(9223372036) + more, parts[p]);
            assert_time(INT64_C(-9223372036) + more, parts[p]);
        }
        assert_time(INT64_MAX, parts[p]);
        assert_time(INT64_MIN, parts[p]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checked_round_trips),
        cmocka_unit_test(test_checked_example),
        cmocka_unit_test(test_checked_every_bit),
        cmocka_unit_test(test_checked_too_short),
        cmocka_unit_test(test_checked_fields),
        cmocka_unit_test(test_checked_refusals),
        cmocka_unit_test(test_checked_size_and_time),
        cmocka_unit_test(test_checked_extensions),
        cmocka_unit_test(test_checked_extensions_too_large),
        cmocka_unit_test(test_classic_round_trips),
        cmocka_unit_test(test_classic_example),
        cmocka_unit_test(test_classic_refusals),
        cmocka_unit_test(test_classic_nothing_but_a_rest),
        cmocka_unit_test(test_classic_huge_shares),
        cmocka_unit_test(test_fec_small),
        cmocka_unit_test(test_fec_sample),
        cmocka_unit_test(test_fec_example),
        cmocka_unit_test(test_fec_empty),
        cmocka_unit_test(test_fec_refusals),
        cmocka_unit_test(test_fec_truncated),
        cmocka_unit_test(test_fec_share_sizes),
        cmocka_unit_test(test_sizes_that_disagree),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_time_clamped),
    };

    return cmocka_run_group_tests_name("header", tests, support_set_up, NULL);
}
