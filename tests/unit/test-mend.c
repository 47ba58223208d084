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
    const struct mend_copy copies[] = {
        {.target = 0, .has = -1}, {.target = -1, .has = 1}, {.target = -1, .has = 2}};

    assert_replaced(copies, 3, 2, 1);
}

static void test_a_share_may_be_made_anew(void **state)
{
    const struct mend_copy copies[] = {{.target = 0, .has = 0}, {.target = 1, .has = 1}};

    assert_replaced(copies, 2, 2, 3);
}

static void test_a_duplicate_may_be_replaced(void **state)
{
    const struct mend_copy copies[] = {
        {.target = 0, .has = 1}, {.target = -1, .has = 1}, {.target = -1, .has = 2}};

    assert_replaced(copies, 3, 2, 1);
}

static void test_a_misplaced_share_may_be_replaced_by_another_that_is_missing(void **state)
{
    const struct mend_copy copies[] = {
        {.target = 0, .has = 3}, {.target = -1, .has = 1}, {.target = -1, .has = 2}};

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

static void test_what_is_shown_does_not_outnumber_what_is_kept(void **state)
{
    /* Three shares are shown; an older version with four is kept: one more may be made, no two. */
    struct mend_copy copies[] = {
        {.target = 3, .has = -1, .replace = true, .holds = -1},
        {.target = 4, .has = -1, .replace = true, .holds = -1},
        {.target = 5, .has = -1, .holds = -1, .claim = 4},
    };

    mend_keep_claims(copies, 3, 3);
    assert_true(copies[0].replace);
    assert_false(copies[1].replace);
}

static void test_a_second_copy_of_a_share_outnumbers_nothing(void **state)
{
    struct mend_copy copies[] = {
        {.target = 0, .has = -1, .replace = true, .holds = -1},
        {.target = -1, .has = 0, .holds = 0},
        {.target = 5, .has = -1, .holds = -1, .claim = 3},
    };

    mend_keep_claims(copies, 3, 3);
    assert_true(copies[0].replace);
}

static struct copy_facts share_of(enum share_format format, int64_t mtime, uint8_t required,
                                  uint8_t index)
{
    struct copy_facts facts = {
        .has_header = true,
        .header = {.layout = {.format = format,
                              .required = required,
                              .block_size = 4096,
                              .source_size = 100},
                   .mtime_ns = mtime,
                   .index = index},
    };

    facts.size = layout_share_size(&facts.header.layout);
    return facts;
}

static bool has_claim(const struct copy_facts copies[], size_t count, size_t place,
                      unsigned *shares)
{
    return mend_has_claim(&quorum, copies, count, place, &copies[0].header, shares);
}

static void test_newer_shares_have_a_claim(void **state)
{
    const struct copy_facts copies[] = {share_of(SHARE_CHECKED, 10, 3, 0),
                                        share_of(SHARE_CHECKED, 11, 3, 1),
                                        share_of(SHARE_CHECKED, 9, 3, 2)};
    unsigned shares = 0;

    assert_true(has_claim(copies, 3, 1, &shares));
    assert_false(has_claim(copies, 3, 2, &shares));
    assert_int_equal(shares, 0);
}

/* Without checks it is most likely a damaged header. */
static void test_another_k_at_the_same_time_has_one_with_checks(void **state)
{
    const struct copy_facts checked[] = {share_of(SHARE_CHECKED, 10, 3, 0),
                                         share_of(SHARE_CHECKED, 10, 4, 1)};
    const struct copy_facts fec[] = {share_of(SHARE_FEC, 10, 3, 0), share_of(SHARE_FEC, 10, 4, 1)};
    unsigned shares = 0;

    assert_true(has_claim(checked, 2, 1, &shares));
    assert_false(has_claim(fec, 2, 1, &shares));
}

static void test_older_shares_in_as_many_stores_have_a_claim(void **state)
{
    struct copy_facts copies[6];
    unsigned shares = 0;

    for (uint8_t i = 0; i < 6; i++)
        copies[i] = share_of(SHARE_CHECKED, i < 3 ? 10 : 9, 3, i);
    assert_true(has_claim(copies, 6, 4, &shares));
    assert_int_equal(shares, 3);
    copies[5].size--; /* it is not complete then */
    assert_false(has_claim(copies, 6, 4, &shares));
}

static void test_what_enough_stores_lack_may_be_removed(void **state)
{
    const struct removal removal = {.lacking = 3, .having = 2}, gone = {.lacking = 3};

    assert_null(mend_refuses_removal(&quorum, &removal));
    assert_null(mend_refuses_removal(&quorum, &gone));
}

static void test_what_enough_stores_have_may_not(void **state)
{
    const struct removal removal = {.lacking = 9, .having = 3};

    assert_string_equal(mend_refuses_removal(&quorum, &removal), "enough stores have it");
}

static void test_nothing_is_removed_where_too_few_lack_it(void **state)
{
    const struct removal removal = {.lacking = 2, .having = 1};

    assert_string_equal(mend_refuses_removal(&quorum, &removal), "too few stores lack it");
}

static void test_nothing_is_removed_where_a_store_may_not_be_all_there(void **state)
{
    struct removal removal = {.lacking = 3, .having = 1, .any_error = true};

    assert_string_equal(mend_refuses_removal(&quorum, &removal), "a store could not be looked at");
    removal = (struct removal){.lacking = 3, .having = 1, .any_empty = true};
    assert_string_equal(mend_refuses_removal(&quorum, &removal),
                        "a store is empty: is it mounted?");
    removal = (struct removal){.lacking = 3, .having = 1, .half_copied = true};
    assert_non_null(mend_refuses_removal(&quorum, &removal));
}

static void test_nothing_is_removed_where_k_is_not_known(void **state)
{
    const struct quorum unknown = {.required = 0};
    const struct removal removal = {.lacking = 9};

    assert_non_null(mend_refuses_removal(&unknown, &removal));
}

static void test_a_store_of_mostly_other_files_is_not_written_to(void **state)
{
    const struct quorum two = {.required = 2, .commonest = 2},
                        one = {.required = 1, .commonest = 1};
    const struct mend_store ahead = {.required = 2, .files = 9, .alone = 5};
    const struct mend_store like_others = {.required = 2, .files = 10, .alone = 5};
    const struct mend_store mirror = {.required = 1, .files = 9, .alone = 9};

    assert_int_equal(mend_refuses_store(&two, SHARE_CHECKED, &ahead), MEND_OTHER_TREE);
    assert_int_equal(mend_refuses_store(&two, SHARE_FEC, &ahead), MEND_OTHER_TREE);
    assert_int_equal(mend_refuses_store(&two, SHARE_CHECKED, &like_others), MEND_WRITES);
    assert_int_equal(mend_refuses_store(&one, SHARE_CHECKED, &mirror), MEND_WRITES);
    assert_int_equal(mend_refuses_store(&one, SHARE_FEC, &mirror), MEND_OTHER_TREE);
}

static void test_a_store_of_another_k_is_not_written_to_without_checks(void **state)
{
    const struct quorum given = {.required = 3, .given = true, .commonest = 2};
    const struct mend_store store = {.required = 3, .files = 10};

    assert_int_equal(mend_refuses_store(&given, SHARE_FEC, &store), MEND_OTHER_K);
    assert_int_equal(mend_refuses_store(&given, SHARE_CLASSIC, &store), MEND_OTHER_K);
    assert_int_equal(mend_refuses_store(&given, SHARE_CHECKED, &store), MEND_WRITES);
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
        cmocka_unit_test(test_what_is_shown_does_not_outnumber_what_is_kept),
        cmocka_unit_test(test_a_second_copy_of_a_share_outnumbers_nothing),
        cmocka_unit_test(test_newer_shares_have_a_claim),
        cmocka_unit_test(test_another_k_at_the_same_time_has_one_with_checks),
        cmocka_unit_test(test_older_shares_in_as_many_stores_have_a_claim),
        cmocka_unit_test(test_what_enough_stores_lack_may_be_removed),
        cmocka_unit_test(test_what_enough_stores_have_may_not),
        cmocka_unit_test(test_nothing_is_removed_where_too_few_lack_it),
        cmocka_unit_test(test_nothing_is_removed_where_a_store_may_not_be_all_there),
        cmocka_unit_test(test_nothing_is_removed_where_k_is_not_known),
        cmocka_unit_test(test_a_store_of_mostly_other_files_is_not_written_to),
        cmocka_unit_test(test_a_store_of_another_k_is_not_written_to_without_checks),
    };

    return cmocka_run_group_tests(tests, support_set_up, NULL);
}
