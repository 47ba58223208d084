/* SPDX-License-Identifier: MIT */
/* tests/vectors/shares.json, made by another implementation: every row, and the way back. */
#include "support.h"

#include "base/cleanup.h"
#include "share/block.h"
#include "share/format.h"
#include "share/stripe.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS = 669,
    SOURCE_SIZE_MAX = 1 << 20,
};

struct row {
    struct share_header header;
    unsigned total;
    uint64_t share_size;
    const char *sha256, *hex; /* no hex where the share is large */
};

static uint8_t source[SOURCE_SIZE_MAX];
static json_t *vectors;
static struct row rows[ROWS + 1];
static size_t row_count, rows_compared;

static void fill_source(void)
{
    uint32_t x = 1;

    for (size_t j = 0; j < sizeof source; j++) {
        x = x * 1664525 + 1013904223;
        source[j] = (uint8_t)(x >> 24);
    }
}

static uint64_t number_of(const json_t *row, const char *key)
{
    const json_t *value = json_object_get(row, key);

    assert_true(json_is_integer(value));
    return (uint64_t)json_integer_value(value);
}

static struct row read_row(const json_t *json)
{
    const json_t *hex = json_object_get(json, "hex");
    unsigned required = (unsigned)number_of(json, "k");
    struct row row = {
        .total = (unsigned)number_of(json, "n"),
        .share_size = number_of(json, "share_size"),
        .sha256 = json_string_value(json_object_get(json, "sha256")),
        .hex = hex ? json_string_value(hex) : NULL,
    };
    enum share_format format;

    assert_non_null(row.sha256);
    assert_int_equal(
        share_format_from_name(json_string_value(json_object_get(json, "format")), &format), 0);
    uint32_t block_size = format == SHARE_CHECKED ? (uint32_t)number_of(json, "block") : 0;
    assert_int_equal(layout_new(format, required, row.total, block_size, number_of(json, "size"),
                                &row.header.layout),
                     0);
    assert_true(row.header.layout.source_size <= SOURCE_SIZE_MAX);
    row.header.index = (uint8_t)number_of(json, "index");
    row.header.total = format == SHARE_FEC ? (uint16_t)row.total : 0;
    row.header.mtime_ns = format == SHARE_CHECKED ? (int64_t)number_of(vectors, "mtime_ns") : 0;
    return row;
}

static void test_read_file(void **state)
{
    json_error_t error;
    size_t i;
    json_t *json;

    vectors = json_load_file(VECTORS, 0, &error);
    if (!vectors)
        fail_msg("%s:%d: %s", VECTORS, error.line, error.text);
    json_array_foreach(json_object_get(vectors, "shares"), i, json)
    {
        assert_true(row_count < COUNT_OF(rows));
        rows[row_count++] = read_row(json);
    }
    assert_int_equal(row_count, ROWS);
    fill_source();
}

/* Stripe number STRIPE of the source, in memory of k*u bytes that are no zeros behind it. */
static uint8_t *copy_stripe(const struct share_layout *layout, uint64_t stripe)
{
    size_t room = layout->required * layout_payload_size(layout, stripe);
    uint8_t *data = exact_bytes(room);

    memset(data, 0xff, room);
    memcpy(data, source + stripe * layout_full_stripe_size(layout),
           layout_stripe_size(layout, stripe));
    return data;
}

/* The share of INDEX, of the row's file, as the library makes it. The caller frees it. */
static uint8_t *make_share(const struct row *row, uint8_t index)
{
    const struct share_layout *layout = &row->header.layout;
    cleanup_encoder struct encoder *encoder = NULL;
    struct share_header header = row->header;
    uint8_t bytes[HEADER_SIZE_MAX], *share = exact_bytes(layout_share_size(layout));

    header.index = index;
    header_write(&header, bytes);
    memcpy(share, bytes, layout->header_size);
    assert_int_equal(encoder_new(layout, 1, &index, &encoder), 0);
    for (uint64_t t = 0; t < layout_stripes(layout); t++) {
        cleanup_free uint8_t *data = copy_stripe(layout, t);
        uint8_t *block = share + layout_block_offset(layout, t);
        assert_int_equal(encoder_run(encoder, t, data, NULL, &block), 0);
    }
    return share;
}

static char *hex_of(const uint8_t *data, size_t size)
{
    char *hex = (char *)exact_bytes(2 * size + 1);

    hex[0] = '\0';
    for (size_t i = 0; i < size; i++)
        snprintf(hex + 2 * i, 3, "%02x", data[i]);
    return hex;
}

/* The bits behind the point of ROOT, 32 of them. */
static uint32_t fraction(long double root)
{
    return (uint32_t)((root - floorl(root)) * 4294967296.0L);
}

static uint32_t turn(uint32_t x, int bits)
{
    return x >> bits | x << (32 - bits);
}

/* SHA-256 of FIPS 180-4, one block of 64 bytes. Its constants are roots of the first primes. */
static void sha256_block(uint32_t state[8], const uint32_t k[64], const uint8_t block[64])
{
    uint32_t w[64], s[8];

    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7] + (turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3) +
               (turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t one = s[7] + (turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25)) +
                       ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
        uint32_t two = (turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22)) +
                       ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += one;
        s[0] = one + two;
    }
    for (int i = 0; i < 8; i++)
        state[i] += s[i];
}

static void sha256_hex(const uint8_t *data, size_t size, char ret[65])
{
    uint32_t state[8], k[64];
    uint8_t tail[128] = {0};
    size_t whole = size / 64 * 64, rest = size - whole, end = rest < 56 ? 64 : 128;
    unsigned count = 0;

    for (unsigned n = 2; count < 64; n++) {
        bool prime = true;
        for (unsigned d = 2; d * d <= n; d++)
            prime = prime && n % d != 0;
        if (prime && count < 8)
            state[count] = fraction(sqrtl(n));
        if (prime)
            k[count++] = fraction(cbrtl(n));
    }
    memcpy(tail, data + whole, rest);
    tail[rest] = 0x80;
    for (int i = 0; i < 8; i++)
        tail[end - 1 - (size_t)i] = (uint8_t)((uint64_t)size * 8 >> 8 * i);
    for (size_t at = 0; at < whole; at += 64)
        sha256_block(state, k, data + at);
    for (size_t at = 0; at < end; at += 64)
        sha256_block(state, k, tail + at);
    for (int i = 0; i < 8; i++)
        snprintf(ret + 8 * i, 9, "%08x", state[i]);
}

static void assert_row(const struct row *row)
{
    uint64_t size = layout_share_size(&row->header.layout);
    assert_int_equal(size, row->share_size);

    cleanup_free uint8_t *share = make_share(row, row->header.index);
    char digest[65];
    sha256_hex(share, size, digest);
    cleanup_free char *hex = hex_of(share, size);
    assert_string_equal(digest, row->sha256);
    if (row->hex)
        assert_string_equal(hex, row->hex);
    rows_compared++;
}

static void test_every_row(void **state)
{
    for (size_t r = 0; r < row_count; r++)
        assert_row(&rows[r]);
    assert_int_equal(rows_compared, ROWS);
}

static bool same_file(const struct row *a, const struct row *b)
{
    const struct share_layout *left = &a->header.layout, *right = &b->header.layout;

    return left->format == right->format && left->required == right->required &&
           a->total == b->total && left->block_size == right->block_size &&
           left->source_size == right->source_size;
}

/* A row's share from the file itself, where it says all of it. */
static uint8_t *share_of_row(const struct row *row)
{
    if (!row->hex)
        return make_share(row, row->header.index);
    uint8_t *share = exact_bytes(row->share_size);
    for (size_t i = 0; i < row->share_size; i++) {
        unsigned byte;
        assert_int_equal(sscanf(row->hex + 2 * i, "%2x", &byte), 1);
        share[i] = (uint8_t)byte;
    }
    return share;
}

/* k different shares of one file. */
struct shares {
    unsigned count;
    uint8_t indices[256];
    uint8_t *bytes[256];
};

static void add_share(struct shares *shares, uint8_t index, uint8_t *bytes)
{
    shares->indices[shares->count] = index;
    shares->bytes[shares->count++] = bytes;
}

/* Those of the rows, the last first, so that parity comes in; and then what is missing. */
static void gather(const struct row *file, struct shares *shares)
{
    unsigned required = file->header.layout.required;
    bool present[256] = {false};

    for (size_t r = row_count; r-- > 0 && shares->count < required;) {
        uint8_t index = rows[r].header.index;
        if (same_file(&rows[r], file) && !present[index]) {
            present[index] = true;
            add_share(shares, index, share_of_row(&rows[r]));
        }
    }
    for (unsigned index = file->total; index-- > 0 && shares->count < required;) {
        if (!present[index])
            add_share(shares, (uint8_t)index, make_share(file, (uint8_t)index));
    }
    assert_int_equal(shares->count, required);
}

static void assert_header(const struct row *file, uint8_t index, const uint8_t *share)
{
    const struct share_layout *expected = &file->header.layout;
    size_t size = file->share_size < HEADER_SIZE_MAX ? (size_t)file->share_size : HEADER_SIZE_MAX;
    struct share_header read;

    assert_int_equal(header_read(expected->format, share, size, file->share_size, &read), 0);
    assert_int_equal(read.layout.format, expected->format);
    assert_int_equal(read.layout.required, expected->required);
    assert_int_equal(read.layout.block_size, expected->block_size);
    assert_int_equal(read.layout.header_size, expected->header_size);
    assert_int_equal(read.layout.source_size, expected->source_size);
    assert_int_equal(read.index, index);
    assert_int_equal(read.total, file->header.total);
    assert_int_equal(read.mtime_ns, file->header.mtime_ns);
}

static void assert_stripe(const struct row *file, const struct shares *shares, uint64_t stripe)
{
    const struct share_layout *layout = &file->header.layout;
    size_t u = layout_payload_size(layout, stripe), size = layout_stripe_size(layout, stripe);
    cleanup_free uint8_t *data = exact_bytes(layout->required * u);
    const uint8_t *blocks[256];

    for (unsigned s = 0; s < shares->count; s++) {
        blocks[s] = shares->bytes[s] + layout_block_offset(layout, stripe);
        if (layout->format == SHARE_CHECKED)
            assert_true(block_is_intact(blocks[s], u, stripe, shares->indices[s]));
    }
    assert_int_equal(stripe_decode(layout, stripe, shares->indices, blocks, data), 0);
    assert_memory_equal(data, source + stripe * layout_full_stripe_size(layout), size);
}

static void assert_restored(const struct row *file)
{
    struct shares shares = {0};

    gather(file, &shares);
    for (unsigned s = 0; s < shares.count; s++)
        assert_header(file, shares.indices[s], shares.bytes[s]);
    for (uint64_t t = 0; t < layout_stripes(&file->header.layout); t++)
        assert_stripe(file, &shares, t);
    for (unsigned s = 0; s < shares.count; s++)
        free(shares.bytes[s]);
}

static void test_way_back(void **state)
{
    unsigned files = 0;

    for (size_t r = 0; r < row_count; r++) {
        size_t first = 0;
        while (!same_file(&rows[first], &rows[r]))
            first++;
        if (first < r)
            continue;
        assert_restored(&rows[r]);
        files++;
    }
    assert_true(files > 100);
}

static int tear_down(void **state)
{
    json_decref(vectors);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_file),
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_way_back),
    };

    return cmocka_run_group_tests_name("vectors", tests, support_set_up, tear_down);
}
