/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "trust/attribute.h"

static const struct xattr red = {.name = "user.colour", .value = "red", .size = 3};
static const struct xattr blue = {.name = "user.colour", .value = "blue", .size = 4};

#define RULE(name, required, ...)                                                                  \
    attribute_rule((const struct attribute_vote[]){__VA_ARGS__},                                   \
                   COUNT_OF(((const struct attribute_vote[]){__VA_ARGS__})), name, required)

static void test_most_votes_win(void **state)
{
    assert_ptr_equal(RULE("user.colour", 2, {0, &red}, {1, &blue}, {2, &blue}), &blue);
    assert_null(RULE("user.colour", 2, {0, &red}, {1, NULL}, {2, NULL}));
}

static void test_a_store_under_two_names_has_one_vote(void **state)
{
    assert_ptr_equal(
        RULE("user.colour", 2, {7, &red}, {7, &red}, {7, &red}, {1, &blue}, {2, &blue}), &blue);
}

static void test_a_store_without_a_vote_has_no_say(void **state)
{
    assert_null(RULE("user.colour", 1, {-1, &red}));
    assert_null(RULE("user.colour", 2, {-1, &red}, {-1, &red}, {0, NULL}));
}

static void test_at_a_tie_a_value_counts_but_not_more_rights(void **state)
{
    assert_ptr_equal(RULE("user.colour", 2, {0, &red}, {1, NULL}), &red);
    assert_null(RULE("system.posix_acl_access", 2, {0, &red}, {1, NULL}));
    assert_ptr_equal(RULE("system.posix_acl_access", 2, {0, &red}, {1, &red}, {2, NULL}), &red);
}

static void test_what_gives_power_takes_k_votes(void **state)
{
    assert_null(RULE("security.capability", 3, {0, &red}, {1, &red}));
    assert_null(RULE("trusted.x", 3, {0, &red}, {1, &red}));
    assert_ptr_equal(RULE("security.capability", 2, {0, &red}, {1, &red}), &red);
}

static void test_the_same_bytes_are_the_same_value(void **state)
{
    char other[] = "red, and more";
    const struct xattr same = {.name = "user.colour", .value = other, .size = 3};

    assert_non_null(RULE("user.colour", 2, {0, &red}, {1, &same}, {2, &blue}));
    assert_ptr_not_equal(RULE("user.colour", 2, {0, &blue}, {1, &same}, {2, &red}), &blue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_most_votes_win),
        cmocka_unit_test(test_a_store_under_two_names_has_one_vote),
        cmocka_unit_test(test_a_store_without_a_vote_has_no_say),
        cmocka_unit_test(test_at_a_tie_a_value_counts_but_not_more_rights),
        cmocka_unit_test(test_what_gives_power_takes_k_votes),
        cmocka_unit_test(test_the_same_bytes_are_the_same_value),
    };

    return cmocka_run_group_tests(tests, support_set_up, NULL);
}
