/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "base/names.h"

#include <stdio.h>
#include <string.h>

static void assert_names(const struct names *names, size_t count, const char *const expected[])
{
    assert_int_equal(names->count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(names_get(names, i), expected[i]);
}

static void test_empty(void **state)
{
    cleanup_names struct names names = NO_NAMES;

    names_sort_unique(&names);
    assert_int_equal(names.count, 0);
    names_clear(&names);
    names_clear(&names);
    assert_int_equal(names.count, 0);
}

static void test_order_of_adding(void **state)
{
    static const char *const expected[] = {"b", "", "a", "b"};
    cleanup_names struct names names = NO_NAMES;

    for (size_t i = 0; i < COUNT_OF(expected); i++)
        assert_int_equal(names_add(&names, expected[i]), 0);
    assert_names(&names, COUNT_OF(expected), expected);
}

/* By byte values, whatever the locale: bytes above 127 come after all others. */
static void test_sort(void **state)
{
    static const char *const given[] = {"b", "\xff", "a", "ab", "b",    "\xc3\xa4",
                                        "",  "A",    "a", "Z",  "\x01", "\xff"};
    static const char *const expected[] = {"",   "\x01", "A",        "Z",   "a",
                                           "ab", "b",    "\xc3\xa4", "\xff"};
    cleanup_names struct names names = NO_NAMES;

    for (size_t i = 0; i < COUNT_OF(given); i++)
        assert_int_equal(names_add(&names, given[i]), 0);
    names_sort_unique(&names);
    assert_names(&names, COUNT_OF(expected), expected);
    names_sort_unique(&names);
    assert_names(&names, COUNT_OF(expected), expected);
}

static void test_all_the_same(void **state)
{
    static const char *const expected[] = {"same"};
    cleanup_names struct names names = NO_NAMES;

    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(names_add(&names, "same"), 0);
    names_sort_unique(&names);
    assert_names(&names, 1, expected);
}

static void test_adding_after_sorting(void **state)
{
    static const char *const expected[] = {"a", "b", "c"};
    cleanup_names struct names names = NO_NAMES;

    assert_int_equal(names_add(&names, "c"), 0);
    assert_int_equal(names_add(&names, "a"), 0);
    assert_int_equal(names_add(&names, "c"), 0);
    names_sort_unique(&names);
    assert_int_equal(names_add(&names, "b"), 0);
    names_sort_unique(&names);
    assert_names(&names, 3, expected);
}

/* Names 0 .. COUNT - 1, in an order in which neighbours are far from each other. */
static void add_numbers(struct names *names, unsigned count, unsigned step)
{
    char name[16];

    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%08u", (unsigned)((uint64_t)i * step % count));
        assert_int_equal(names_add(names, name), 0);
    }
}

static void test_many(void **state)
{
    enum { COUNT = 200003 };
    cleanup_names struct names names = NO_NAMES;
    char name[16];

    add_numbers(&names, COUNT, 77777);
    add_numbers(&names, COUNT, 1234);
    assert_int_equal(names.count, 2 * COUNT);
    names_sort_unique(&names);
    assert_int_equal(names.count, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "%08u", i);
        assert_string_equal(names_get(&names, i), name);
    }
}

/* The room doubles; a name longer than twice the room needs more than that. */
static void test_long_names(void **state)
{
    enum { LONGEST = 5000 };
    cleanup_names struct names names = NO_NAMES;
    char name[LONGEST + 1];

    for (size_t length = 1; length <= LONGEST; length += 7) {
        memset(name, 'x', length);
        name[length] = '\0';
        assert_int_equal(names_add(&names, name), 0);
    }
    for (size_t i = 0; i < names.count; i++)
        assert_int_equal(strlen(names_get(&names, i)), 1 + 7 * i);
    names_clear(&names);
    assert_int_equal(names_add(&names, name), 0);
    assert_string_equal(names_get(&names, 0), name);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_order_of_adding),
        cmocka_unit_test(test_sort),
        cmocka_unit_test(test_all_the_same),
        cmocka_unit_test(test_adding_after_sorting),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_long_names),
    };

    return cmocka_run_group_tests_name("names", tests, support_set_up, NULL);
}
