/* SPDX-License-Identifier: MIT */
/*
 * The oracle is the definition in docs/format.md, evaluated as it stands: a random polynomial for
 * each byte, by Horner's rule, in a field that is multiplied bit by bit.
 */
#include "support.h"

#include "share/interpolation.h"

#include <stdlib.h>
#include <string.h>

static uint8_t product[256][256];
static uint8_t point[CODE_SHARES_MAX];

static uint8_t slow_product(unsigned a, unsigned b)
{
    unsigned sum = 0;

    for (; b; b >>= 1) {
        if (b & 1)
            sum ^= a;
        a <<= 1;
        if (a & 0x100)
            a ^= 0x11d;
    }
    return (uint8_t)sum;
}

static int set_up(void **state)
{
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++)
            product[a][b] = slow_product(a, b);
    }
    point[1] = 1;
    for (unsigned i = 2; i < CODE_SHARES_MAX; i++)
        point[i] = slow_product(point[i - 1], 2);
    return support_set_up(state);
}

/* All shares of one group, each behind OFFSET bytes that nothing may touch, and as many after. */
struct group {
    unsigned required, total;
    size_t length, offset;
    uint8_t *shares[CODE_SHARES_MAX];
};

enum { UNTOUCHED = 0xa5 };

static uint8_t *guarded_bytes(const struct group *group)
{
    uint8_t *bytes = exact_bytes(group->length + 2 * group->offset);

    memset(bytes, UNTOUCHED, group->length + 2 * group->offset);
    return bytes;
}

static void assert_guards(const struct group *group, const uint8_t *bytes)
{
    for (size_t i = 0; i < group->offset; i++) {
        assert_int_equal(bytes[i], UNTOUCHED);
        assert_int_equal(bytes[group->offset + group->length + i], UNTOUCHED);
    }
}

static void fill_byte(const struct group *group, size_t j)
{
    uint8_t coefficients[CODE_REQUIRED_MAX];

    random_fill(coefficients, group->required);
    for (unsigned i = 0; i < group->total; i++) {
        uint8_t value = 0;
        for (unsigned c = 0; c < group->required; c++)
            value = product[value][point[i]] ^ coefficients[c];
        group->shares[i][group->offset + j] = value;
    }
}

/* What lies about them is random: whatever is made of it does not pass for untouched. */
static struct group make_group(unsigned required, unsigned total, size_t length, size_t offset)
{
    struct group group = {.required = required, .total = total, .length = length, .offset = offset};

    for (unsigned i = 0; i < total; i++) {
        group.shares[i] = exact_bytes(length + 2 * offset);
        random_fill(group.shares[i], length + 2 * offset);
    }
    for (size_t j = 0; j < length; j++)
        fill_byte(&group, j);
    return group;
}

static void free_group(struct group *group)
{
    for (unsigned i = 0; i < group->total; i++)
        free(group->shares[i]);
}

/* The WANTED shares come out of the KNOWN ones as the polynomials have them. */
static void assert_made(const struct group *group, const uint8_t known[], unsigned count,
                        const uint8_t wanted[])
{
    const uint8_t *sources[CODE_REQUIRED_MAX];
    uint8_t *made[CODE_SHARES_MAX], *targets[CODE_SHARES_MAX];
    struct interpolation *interpolation;

    for (unsigned s = 0; s < group->required; s++)
        sources[s] = group->shares[known[s]] + group->offset;
    for (unsigned w = 0; w < count; w++) {
        made[w] = guarded_bytes(group);
        targets[w] = made[w] + group->offset;
    }
    assert_int_equal(interpolation_new(group->required, known, count, wanted, &interpolation), 0);
    interpolation_run(interpolation, group->length, sources, targets);
    interpolation_free(interpolation);
    for (unsigned w = 0; w < count; w++) {
        assert_guards(group, made[w]);
        assert_memory_equal(targets[w], group->shares[wanted[w]] + group->offset, group->length);
        free(made[w]);
    }
}

static void assert_makes_all(const struct group *group, const uint8_t known[])
{
    uint8_t all[CODE_SHARES_MAX];

    for (unsigned i = 0; i < group->total; i++)
        all[i] = (uint8_t)i;
    assert_made(group, known, group->total, all);
}

/* Every K-subset of N shares gives every one of the N shares. Returns how many subsets. */
static unsigned assert_all_subsets(unsigned required, unsigned total, size_t length)
{
    struct group group = make_group(required, total, length, 0);
    uint8_t known[CODE_REQUIRED_MAX];
    unsigned subsets = 0;

    first_subset(required, known);
    do {
        assert_makes_all(&group, known);
        subsets++;
    } while (next_subset(required, total, known));
    free_group(&group);
    return subsets;
}

static void test_bad_arguments(void **state)
{
    uint8_t indices[CODE_SHARES_MAX + 1] = {0};
    struct interpolation *const nothing = (struct interpolation *)(void *)indices, *made = nothing;

    for (unsigned i = 0; i < CODE_SHARES_MAX; i++)
        indices[i] = (uint8_t)i;
    assert_int_equal(interpolation_new(0, indices, 1, indices, &made), -EINVAL);
    assert_int_equal(interpolation_new(256, indices, 1, indices, &made), -EINVAL);
    assert_int_equal(interpolation_new(257, indices, 1, indices, &made), -EINVAL);
    assert_int_equal(interpolation_new(3, indices, 0, indices, &made), -EINVAL);
    assert_int_equal(interpolation_new(3, indices, 257, indices, &made), -EINVAL);
    assert_int_equal(interpolation_new(~0U, indices, 1, indices, &made), -EINVAL);
    assert_int_equal(interpolation_new(1, indices, ~0U, indices, &made), -EINVAL);
    assert_ptr_equal(made, nothing);
}

static void test_twins(void **state)
{
    struct interpolation *made = NULL;

    for (unsigned a = 0; a < 5; a++) {
        for (unsigned b = a + 1; b < 5; b++) {
            uint8_t known[5];
            random_indices(5, 256, known);
            known[b] = known[a];
            assert_int_equal(interpolation_new(5, known, 1, known, &made), -EINVAL);
        }
    }
    assert_null(made);
}

/* The worked example of docs/format.md. */
static void test_example(void **state)
{
    static const uint8_t pieces[3][4] = {"0123", "4567", "89"};
    const uint8_t *known[] = {pieces[0], pieces[1], pieces[2]};
    static const uint8_t indices[] = {0, 1, 2}, wanted[] = {4};
    static const uint8_t expected[] = {0x10, 0x11, 0xb0, 0xad};
    uint8_t share[4], *targets[] = {share};
    struct interpolation *interpolation;

    assert_int_equal(interpolation_new(3, indices, 1, wanted, &interpolation), 0);
    interpolation_run(interpolation, sizeof share, known, targets);
    interpolation_free(interpolation);
    assert_memory_equal(share, expected, sizeof share);
}

static void test_known_passes_through(void **state)
{
    for (unsigned round = 0; round < 50; round++) {
        unsigned required = (unsigned)random_between(1, 40);
        struct group group = make_group(required, 256, 50, 3);
        uint8_t known[CODE_REQUIRED_MAX];

        random_indices(required, 256, known);
        assert_made(&group, known, required, known);
        /* Whatever stands in the shares: only the wanted one itself may count. */
        for (unsigned i = 0; i < group.total; i++)
            random_fill(group.shares[i] + group.offset, group.length);
        assert_made(&group, known, required, known);
        free_group(&group);
    }
}

static void test_3_of_20(void **state)
{
    assert_int_equal(assert_all_subsets(3, 20, 77), 1140);
}

static void test_every_k_and_n_to_8(void **state)
{
    for (unsigned total = 1; total <= 8; total++) {
        unsigned subsets = 0;
        for (unsigned required = 1; required <= total; required++)
            subsets += assert_all_subsets(required, total, 40);
        assert_int_equal(subsets, (1 << total) - 1);
    }
}

static void test_any_from_any(void **state)
{
    for (unsigned round = 0; round < 60; round++) {
        unsigned total = (unsigned)random_between(1, 256);
        unsigned required = (unsigned)random_between(1, total < 255 ? total : 255);
        unsigned count = (unsigned)random_between(1, total);
        struct group group = make_group(required, total, random_between(1, 90), random_below(9));
        uint8_t known[CODE_REQUIRED_MAX], wanted[CODE_SHARES_MAX];

        random_indices(required, total, known);
        random_indices(count, total, wanted);
        assert_made(&group, known, count, wanted);
        free_group(&group);
    }
}

static void test_parity_from_parity(void **state)
{
    struct group group = make_group(20, 256, 64, 1);
    uint8_t known[20], wanted[100];

    for (unsigned round = 0; round < 10; round++) {
        random_indices(20, 236, known);
        random_indices(100, 236, wanted);
        for (unsigned s = 0; s < 20; s++)
            known[s] = (uint8_t)(known[s] + 20);
        for (unsigned w = 0; w < 100; w++)
            wanted[w] = (uint8_t)(wanted[w] + 20);
        assert_made(&group, known, 100, wanted);
    }
    free_group(&group);
}

static void test_largest(void **state)
{
    struct group group = make_group(255, 256, 33, 0);
    uint8_t known[CODE_REQUIRED_MAX];

    for (unsigned round = 0; round < 10; round++) {
        random_indices(255, 256, known);
        assert_makes_all(&group, known);
    }
    free_group(&group);
}

static void test_shares_wanted_twice(void **state)
{
    static const uint8_t known[] = {5, 1, 7}, wanted[] = {2, 5, 2, 19, 19, 5};
    struct group group = make_group(3, 20, 100, 0);

    assert_made(&group, known, COUNT_OF(wanted), wanted);
    free_group(&group);
}

/* The field's library works in wide steps: every remainder of a step, anywhere in memory. */
static void test_lengths(void **state)
{
    static const size_t more[] = {255, 256, 257, 511, 513, 1023, 4095, 4096, 4097, 65535, 65537};

    for (size_t length = 1; length <= 200 + COUNT_OF(more); length++) {
        size_t exact = length <= 200 ? length : more[length - 201];
        struct group group = make_group(4, 12, exact, random_between(1, 70));
        uint8_t known[4], wanted[7];

        random_indices(4, 12, known);
        random_indices(7, 12, wanted);
        for (unsigned count = 1; count <= 7; count++)
            assert_made(&group, known, count, wanted);
        free_group(&group);
    }
}

static void test_no_bytes(void **state)
{
    struct group group = make_group(3, 6, 0, 8);
    static const uint8_t known[] = {5, 1, 3}, wanted[] = {0, 2};

    assert_made(&group, known, 2, wanted);
    free_group(&group);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_arguments), cmocka_unit_test(test_twins),
        cmocka_unit_test(test_example),       cmocka_unit_test(test_known_passes_through),
        cmocka_unit_test(test_3_of_20),       cmocka_unit_test(test_every_k_and_n_to_8),
        cmocka_unit_test(test_any_from_any),  cmocka_unit_test(test_parity_from_parity),
        cmocka_unit_test(test_largest),       cmocka_unit_test(test_shares_wanted_twice),
        cmocka_unit_test(test_lengths),       cmocka_unit_test(test_no_bytes),
    };

    return cmocka_run_group_tests_name("interpolation", tests, set_up, NULL);
}
