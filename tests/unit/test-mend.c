/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "trust/mend.h"

enum { COPIES_MAX = 6 };

/* Asserts which of the copies are replaced, as bits, where all are to be. */
static void assert_replaced(const struct mend_copy given[], size_t count, unsigned needed,
                            unsigned expected)
{
    struct mend_copy copies[COPIES_MAX];
    unsigned replaced = 0;

    for (size_t i = 0; i < count; i++) {
        copies[i] = given[i];
        copies[i].replace = copies[i].target >= 0;
    }
    mend_keep_needed(copies, count, needed);
    for (size_t i = 0; i < count; i++)
        replaced |= (unsigned)copies[i].replace << i;
    assert_int_equal(replaced, expected);
}

static void test_a_missing_share_may_be_made(void **state)
{
    const struct mend_copy copies[] = {{.target = 0, .has = -1}, {-1, 1, false}, {-1, 2, false}};

    assert_replaced(copies, 3, 2, 1);
}

static void test_a_share_may_be_made_anew(void **state)
{
    const struct mend_copy copies[] = {{.target = 0, .has = 0}, {.target = 1, .has = 1}};

    assert_replaced(copies, 2, 2, 3);
}

static void test_a_duplicate_may_be_replaced(void **state)
{
    const struct mend_copy copies[] = {{.target = 0, .has = 1}, {-1, 1, false}, {-1, 2, false}};

    assert_replaced(copies, 3, 2, 1);
}

static void test_a_misplaced_share_may_be_replaced_by_another_that_is_missing(void **state)
{
    const struct mend_copy copies[] = {{.target = 0, .has = 3}, {-1, 1, false}, {-1, 2, false}};

    assert_replaced(copies, 3, 3, 1);
}

static void test_the_only_copy_of_a_share_may_not(void **state)
{
    /* Two stores whose files were exchanged: either alone would leave one share. */
    const struct mend_copy copies[] = {{.target = 0, .has = 1}, {.target = 1, .has = 0}};

    assert_replaced(copies, 2, 2, 0);
}

static void test_nor_all_copies_of_a_share_together(void **state)
{
    /* The same beside a store that is a copy of the second: one of its shares 0 has to stay. */
    const struct mend_copy copies[] = {
        {.target = 0, .has = 1}, {.target = 1, .has = 0}, {.target = 1, .has = 0}};

    assert_replaced(copies, 3, 2, 2);
}

static void test_spare(void **state)
{
    unsigned at[256] = {1, 3, 2, 1};

    assert_int_equal(mend_spare(at, 5), -1);
    assert_int_equal(mend_spare(at, 4), 0);
    assert_int_equal(mend_spare(at, 3), 1);
    assert_int_equal(mend_spare(at, 2), 3);
    assert_int_equal(mend_spare(at, 1), 6);
}

static int spare_slowly(const struct mend_copy copies[], size_t count, unsigned needed)
{
    int least = (int)count;

    for (unsigned lost = 0; lost < 1U << count; lost++) {
        bool seen[256] = {false};
        unsigned shares = 0;
        for (size_t i = 0; i < count; i++) {
            int has = copies[i].replace ? copies[i].target : copies[i].has;
            if (has < 0 || lost >> i & 1 || seen[has])
                continue;
            seen[has] = true;
            shares++;
        }
        if (shares < needed && __builtin_popcount(lost) - 1 < least)
            least = __builtin_popcount(lost) - 1;
    }
    return least;
}

static void test_never_fewer_stores_that_may_be_lost(void **state)
{
    struct mend_copy before[COPIES_MAX], copies[COPIES_MAX];

    for (unsigned run = 0; run < 3000; run++) {
        size_t count = random_between(1, COPIES_MAX);
        unsigned needed = (unsigned)random_between(1, 4);
        for (size_t i = 0; i < count; i++) {
            before[i] = copies[i] = (struct mend_copy){.target = 255 - (int)random_below(4),
                                                       .has = 255 - (int)random_below(5)};
            copies[i].replace = random_below(4) > 0;
        }
        mend_keep_needed(copies, count, needed);
        assert_true(spare_slowly(copies, count, needed) >= spare_slowly(before, count, needed));
    }
}

static const struct quorum quorum = {.required = 3};

static void test_what_enough_stores_lack_may_be_removed(void **state)
{
    const struct removal removal = {.lacking = 3, .having = 2}, gone = {.lacking = 3};

    assert_null(mend_refuses_removal(&quorum, &removal));
    assert_null(mend_refuses_removal(&quorum, &gone));
}

static void test_what_enough_stores_have_may_not(void **state)
{
    const struct removal removal = {.lacking = 9, .having = 3};

    assert_non_null(mend_refuses_removal(&quorum, &removal));
}

static void test_nothing_is_removed_where_too_few_lack_it(void **state)
{
    const struct removal removal = {.lacking = 2, .having = 1};

    assert_non_null(mend_refuses_removal(&quorum, &removal));
}

static void test_nothing_is_removed_where_a_store_may_not_be_all_there(void **state)
{
    struct removal removal = {.lacking = 3, .having = 1, .any_error = true};

    assert_non_null(mend_refuses_removal(&quorum, &removal));
    removal = (struct removal){.lacking = 3, .having = 1, .any_empty = true};
    assert_non_null(mend_refuses_removal(&quorum, &removal));
    removal = (struct removal){.lacking = 3, .having = 1, .half_copied = true};
    assert_non_null(mend_refuses_removal(&quorum, &removal));
}

static void test_nothing_is_removed_where_k_is_not_known(void **state)
{
    const struct quorum unknown = {.required = 0};
    const struct removal removal = {.lacking = 9};

    assert_non_null(mend_refuses_removal(&unknown, &removal));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_missing_share_may_be_made),
        cmocka_unit_test(test_a_share_may_be_made_anew),
        cmocka_unit_test(test_a_duplicate_may_be_replaced),
        cmocka_unit_test(test_a_misplaced_share_may_be_replaced_by_another_that_is_missing),
        cmocka_unit_test(test_the_only_copy_of_a_share_may_not),
        cmocka_unit_test(test_nor_all_copies_of_a_share_together),
        cmocka_unit_test(test_spare),
        cmocka_unit_test(test_never_fewer_stores_that_may_be_lost),
        cmocka_unit_test(test_what_enough_stores_lack_may_be_removed),
        cmocka_unit_test(test_what_enough_stores_have_may_not),
        cmocka_unit_test(test_nothing_is_removed_where_too_few_lack_it),
        cmocka_unit_test(test_nothing_is_removed_where_a_store_may_not_be_all_there),
        cmocka_unit_test(test_nothing_is_removed_where_k_is_not_known),
    };

    return cmocka_run_group_tests(tests, support_set_up, NULL);
}
