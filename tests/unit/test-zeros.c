/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "base/zeros.h"
#include "share/format.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* The memory of this process in KiB, each page counted once, however often it is mapped. */
static size_t memory_taken(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    size_t taken = 0;

    assert_non_null(file);
    while (taken == 0 && fgets(line, sizeof line, file))
        sscanf(line, "Pss: %zu", &taken);
    fclose(file);
    assert_true(taken > 0);
    return taken;
}

static void test_zeros(void **state)
{
    const uint8_t *bytes = zeros();

    assert_non_null(bytes);
    assert_int_equal(bytes[0], 0);
    assert_memory_equal(bytes, bytes + 1, ZEROS_SIZE - 1);
}

static void test_always_the_same(void **state)
{
    const uint8_t *first = zeros();

    for (unsigned i = 0; i < 10; i++)
        assert_ptr_equal(zeros(), first);
}

/* Without AddressSanitizer, whose notes on what is read take memory of their own, an eighth of it.
 */
__attribute__((no_sanitize("address"))) static size_t sum_of(const uint8_t *bytes)
{
    size_t sum = 0;

    for (size_t i = 0; i < ZEROS_SIZE; i += 512)
        sum += bytes[i];
    return sum;
}

/* To read all of them takes next to no memory. */
static void test_little_memory(void **state)
{
    const uint8_t *bytes = zeros();
    size_t before = memory_taken();

    assert_non_null(bytes);
    assert_int_equal(sum_of(bytes), 0);
    assert_true(memory_taken() < before + ((size_t)ZEROS_SIZE >> 13));
}

static void test_as_many_as_the_largest_stripe(void **state)
{
    struct share_layout layout;

    for (enum share_format format = SHARE_CHECKED; format < SHARE_FORMATS; format++) {
        assert_int_equal(layout_new(format, 255, 256, BLOCK_SIZE_MAX, INT64_MAX / 512, &layout), 0);
        assert_true(layout_full_stripe_size(&layout) <= ZEROS_SIZE);
        assert_true(format != SHARE_CHECKED || layout_full_stripe_size(&layout) == ZEROS_SIZE);
    }
}

struct seen {
    _Atomic(const uint8_t *) first;
    atomic_uint wrong;
};

static void look(void *argument, unsigned number)
{
    struct seen *seen = argument;
    const uint8_t *bytes = zeros(), *none = NULL;

    if (!bytes || (!atomic_compare_exchange_strong(&seen->first, &none, bytes) && none != bytes) ||
        bytes[ZEROS_SIZE - 1 - number] != 0)
        seen->wrong++;
}

/* The first of the tests: all of them are the first to ask. */
static void test_threads(void **state)
{
    struct seen seen = {.wrong = 0};

    in_threads(16, look, &seen);
    assert_int_equal(seen.wrong, 0);
    assert_ptr_equal(seen.first, zeros());
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_little_memory),
        cmocka_unit_test(test_zeros),
        cmocka_unit_test(test_always_the_same),
        cmocka_unit_test(test_as_many_as_the_largest_stripe),
    };

    return cmocka_run_group_tests_name("zeros", tests, support_set_up, NULL);
}
