/* SPDX-License-Identifier: MIT */
/* Rule 4 of docs/design.md. */
#include "support.h"

#include "trust/version.h"

#include <errno.h>

enum {
    COPIES_MAX = 8,
    K = 3,
    SIZE = 10000,
};

static const struct quorum three = {.required = K};

static struct share_header header_of(enum share_format format, unsigned k, uint8_t index,
                                     int64_t mtime_ns)
{
    struct share_header header = {.index = index, .mtime_ns = mtime_ns};

    assert_int_equal(layout_new(format, k, 20, BLOCK_SIZE_DEFAULT, SIZE, &header.layout), 0);
    header.total = format == SHARE_FEC ? 20 : 0;
    return header;
}

static struct copy_facts copy_with(struct share_header header)
{
    return (struct copy_facts){
        .has_header = true, .header = header, .size = layout_share_size(&header.layout)};
}

/* A whole copy in checked format, K = 3. */
static struct copy_facts copy_of(uint8_t index, int64_t mtime_ns)
{
    return copy_with(header_of(SHARE_CHECKED, K, index, mtime_ns));
}

/* Fills in shares FIRST, FIRST + 1, ... of one version. */
static void add_all(struct copy_facts copies[], size_t count, uint8_t first, int64_t mtime_ns)
{
    for (size_t i = 0; i < count; i++)
        copies[i] = copy_of((uint8_t)(first + i), mtime_ns);
}

static struct version choose(const struct copy_facts copies[], size_t count, unsigned rank)
{
    struct version version;

    assert_int_equal(version_choose(&three, copies, count, rank, &version), 0);
    return version;
}

static void assert_end(const struct copy_facts copies[], size_t count, unsigned rank)
{
    struct version version;

    assert_int_equal(version_choose(&three, copies, count, rank, &version), -ENODATA);
}

static void test_the_same_version(void **state)
{
    struct share_header header = header_of(SHARE_CHECKED, K, 4, 7), other = header;

    other.index = 9;
    other.layout.header_size += 100; /* extensions are a share's own affair */
    assert_true(version_is_same(&header, &other));
    other.mtime_ns++;
    assert_false(version_is_same(&header, &other));
    assert_true(version_is_like(&header, &other));
}

static void test_other_versions(void **state)
{
    struct share_header header = header_of(SHARE_CHECKED, K, 4, 7), others[5];

    for (size_t i = 0; i < COUNT_OF(others); i++)
        others[i] = header;
    others[0].layout.required++;
    others[1].layout.block_size *= 2;
    others[2].layout.source_size++;
    others[3].layout.format = SHARE_FEC;
    others[4].total = 20;
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        assert_false(version_is_like(&header, &others[i]));
        assert_false(version_is_same(&others[i], &header));
    }
}

static void test_without_headers_there_is_no_version(void **state)
{
    const struct copy_facts copies[] = {{.size = 100}, {.size = 0}};

    assert_end(copies, 2, 0);
    assert_end(copies, 0, 0);
}

static void test_a_version_is_complete_with_k_shares(void **state)
{
    struct copy_facts copies[3];

    add_all(copies, 3, 0, 7);
    struct version version = choose(copies, 3, 0);
    assert_true(version.complete);
    assert_int_equal(version.members, 3);
    assert_int_equal(version.whole, 3);
    assert_int_equal(version.needed, 3);
    assert_int_equal(version.rival, 0);
    assert_false(choose(copies, 2, 0).complete);
    assert_end(copies, 3, 1);
}

static void test_a_share_that_is_there_twice_counts_once(void **state)
{
    struct copy_facts copies[] = {copy_of(4, 7), copy_of(4, 7), copy_of(5, 7)};

    struct version version = choose(copies, 3, 0);
    assert_int_equal(version.members, 2);
    assert_false(version.complete);
}

static void test_copies_that_are_cut_do_not_make_it_complete(void **state)
{
    struct copy_facts copies[4];

    add_all(copies, 4, 0, 7);
    copies[0].size--;
    copies[1].size++;
    struct version version = choose(copies, 4, 0);
    assert_int_equal(version.members, 4);
    assert_int_equal(version.whole, 2);
    assert_false(version.complete);
    assert_true(version.possible);
}

static void test_extensions_belong_to_the_full_length(void **state)
{
    struct copy_facts copies[3];

    add_all(copies, 3, 0, 7);
    copies[0].header.layout.header_size += 100;
    assert_false(choose(copies, 3, 0).complete);
    copies[0].size += 100;
    assert_true(choose(copies, 3, 0).complete);
}

static void test_a_version_needs_its_own_k_or_k_if_that_is_more(void **state)
{
    struct copy_facts copies[COPIES_MAX];

    for (uint8_t i = 0; i < 5; i++)
        copies[i] = copy_with(header_of(SHARE_CHECKED, 2, i, 7));
    assert_false(choose(copies, 2, 0).complete);
    assert_true(choose(copies, 3, 0).complete);
    for (uint8_t i = 0; i < 5; i++)
        copies[i] = copy_with(header_of(SHARE_CHECKED, 5, i, 7));
    assert_false(choose(copies, 4, 0).complete);
    assert_true(choose(copies, 5, 0).complete);
    assert_int_equal(choose(copies, 5, 0).needed, 5);
}

static void test_nothing_is_complete_where_k_is_not_known(void **state)
{
    const struct quorum unknown = {.required = 0};
    struct copy_facts copies[COPIES_MAX];
    struct version version;

    add_all(copies, COPIES_MAX, 0, 7);
    assert_int_equal(version_choose(&unknown, copies, COPIES_MAX, 0, &version), 0);
    assert_false(version.complete);
    assert_false(version.possible);
}

static void test_the_newest_complete_version_is_first(void **state)
{
    struct copy_facts copies[COPIES_MAX];

    add_all(copies, 3, 0, 7);
    add_all(copies + 3, 3, 3, 8);
    add_all(copies + 6, 2, 6, 9); /* newer, but not complete */
    assert_int_equal(choose(copies, 8, 0).header.mtime_ns, 8);
    assert_int_equal(choose(copies, 8, 1).header.mtime_ns, 7);
    assert_int_equal(choose(copies, 8, 2).header.mtime_ns, 9);
    assert_end(copies, 8, 3);
}

static void test_another_complete_version_is_told(void **state)
{
    struct copy_facts copies[COPIES_MAX];

    add_all(copies, 5, 0, 7);
    add_all(copies + 5, 3, 5, 8);
    struct version version = choose(copies, 8, 0);
    assert_int_equal(version.header.mtime_ns, 8);
    assert_int_equal(version.rival, 5);
    assert_false(version.tied);
    assert_int_equal(choose(copies, 7, 0).rival, 0); /* of one that is not complete there is none */
}

static void test_of_one_time_more_shares_win_and_as_many_are_tied(void **state)
{
    struct copy_facts copies[COPIES_MAX];

    add_all(copies, COPIES_MAX, 0, 7);
    for (size_t i = 4; i < COPIES_MAX; i++)
        copies[i].header.layout.source_size++; /* as long a share all the same */
    for (size_t i = 0; i < COPIES_MAX; i++)
        copies[i].size = layout_share_size(&copies[i].header.layout);
    assert_true(choose(copies, 8, 0).tied);
    assert_true(choose(copies, 8, 1).tied);
    assert_false(choose(copies, 7, 0).tied);
    assert_int_equal(choose(copies, 7, 0).header.layout.source_size, SIZE);
    assert_int_equal(choose(copies + 1, 7, 0).header.layout.source_size, SIZE + 1);
}

static void test_what_copies_of_other_times_or_without_a_header_could_complete(void **state)
{
    struct copy_facts copies[] = {copy_of(0, 7), copy_of(1, 8), {.size = 5}, copy_of(1, 9)};

    assert_true(choose(copies, 3, 0).possible);
    assert_false(choose(copies, 2, 0).possible);
    copies[2] = copy_of(1, 6); /* share 1 again */
    assert_false(choose(copies, 4, 0).possible);
    copies[2] = copy_of(2, 6);
    copies[2].header.layout.source_size++;
    assert_false(choose(copies, 4, 0).possible);
}

static void test_without_checks_nothing_else_completes_a_version(void **state)
{
    struct copy_facts copies[] = {copy_with(header_of(SHARE_FEC, K, 0, 0)),
                                  copy_with(header_of(SHARE_FEC, K, 1, 0)),
                                  {.size = 5},
                                  {.size = 5}};

    assert_false(choose(copies, 4, 0).possible);
    assert_int_equal(version_role(&copies[2], &copies[0].header), COPY_USELESS);
}

static void test_without_checks_a_misplaced_copy_does_not_count(void **state)
{
    struct copy_facts copies[COPIES_MAX];

    for (uint8_t i = 0; i < 4; i++)
        copies[i] = copy_with(header_of(SHARE_CLASSIC, K, i, 0));
    copies[0].misplaced = true;
    assert_int_equal(choose(copies, 4, 0).members, 3);
    assert_false(choose(copies, 3, 0).complete);
    assert_end(copies, 1, 0);
    assert_int_equal(version_role(&copies[0], &copies[1].header), COPY_USELESS);
    assert_int_equal(version_role(&copies[2], &copies[1].header), COPY_MEMBER);
}

static void test_roles(void **state)
{
    const struct share_header version = header_of(SHARE_CHECKED, K, 0, 7);
    struct copy_facts copy = copy_of(5, 7);

    copy.size = 0;
    assert_int_equal(version_role(&copy, &version), COPY_MEMBER);
    copy = copy_of(5, 8);
    assert_int_equal(version_role(&copy, &version), COPY_OTHER);
    copy.header.layout.source_size++;
    assert_int_equal(version_role(&copy, &version), COPY_OTHER);
    copy.header.layout.block_size *= 2;
    assert_int_equal(version_role(&copy, &version), COPY_USELESS);
    copy = copy_with(header_of(SHARE_CHECKED, K + 1, 5, 7));
    assert_int_equal(version_role(&copy, &version), COPY_USELESS);
    copy.has_header = false;
    assert_int_equal(version_role(&copy, &version), COPY_NAMELESS);
}

static void test_which_k_would_do(void **state)
{
    const struct quorum seven = {.required = 7};
    struct copy_facts copies[COPIES_MAX];

    add_all(copies, 4, 0, 7);
    assert_int_equal(version_would_need(&seven, copies, 4), K);
    assert_int_equal(version_would_need(&seven, copies, 2), 0); /* k shares are missing */
    assert_int_equal(version_would_need(&three, copies, 4), 0); /* it is complete */
    for (uint8_t i = 4; i < 6; i++)
        copies[i] = copy_with(header_of(SHARE_CHECKED, 1, i, 9));
    assert_int_equal(version_would_need(&seven, copies, 6), K);
    assert_int_equal(version_would_need(&three, copies + 4, 2), 1);
}

static void test_late_copies_cannot_change_it(void **state)
{
    struct copy_facts copies[COPIES_MAX];

    add_all(copies, 4, 0, 7);
    assert_true(version_is_settled(&three, copies, 4, 2));
    assert_false(version_is_settled(&three, copies, 4, 3)); /* three of a newer one */
    assert_false(version_is_settled(&three, copies, 2, 0));
    copies[4] = copy_of(4, 9);
    assert_true(version_is_settled(&three, copies, 5, 1));
    assert_false(version_is_settled(&three, copies, 5, 2));
    copies[4].has_header = false;
    assert_false(version_is_settled(&three, copies, 5, 0));
}

/* Any copies of a few versions. */
static size_t take_copies(struct copy_facts copies[])
{
    size_t count = random_between(1, COPIES_MAX);

    for (size_t i = 0; i < count; i++) {
        unsigned k = random_below(5) ? 2 : (unsigned)random_between(1, 4);
        copies[i] = copy_with(header_of(SHARE_CHECKED, k, (uint8_t)random_below(COPIES_MAX),
                                        (int64_t)random_between(1, 3)));
        copies[i].has_header = random_below(16) > 0;
        copies[i].size -= random_below(12) == 0;
    }
    return count;
}

static void test_ranks_are_each_version_once_and_in_order(void **state)
{
    struct copy_facts copies[COPIES_MAX];

    for (unsigned run = 0; run < 5000; run++) {
        size_t count = take_copies(copies);
        struct version version, last = {.complete = true, .header.mtime_ns = INT64_MAX};
        unsigned rank = 0;
        uint64_t seen = 0;
        for (; version_choose(&three, copies, count, rank, &version) == 0; rank++) {
            unsigned bit = (unsigned)version.header.mtime_ns * 8 + version.header.layout.required;
            assert_false(seen >> bit & 1);
            seen |= UINT64_C(1) << bit;
            assert_true(last.complete || !version.complete);
            if (last.complete == version.complete)
                assert_true(last.header.mtime_ns >= version.header.mtime_ns);
            last = version;
        }
        for (size_t i = 0; i < count; i++)
            assert_true(
                !copies[i].has_header ||
                (seen >> (copies[i].header.mtime_ns * 8 + copies[i].header.layout.required) & 1));
        assert_end(copies, count, rank + 1);
    }
}

static void test_what_is_settled_stays_so_whatever_comes(void **state)
{
    struct copy_facts copies[COPIES_MAX];
    unsigned settled = 0;

    for (unsigned run = 0; run < 20000; run++) {
        const struct quorum quorum = {.required = (unsigned)random_between(1, 3)};
        size_t count = take_copies(copies), now = random_between(1, count);
        struct version before, after;
        if (!version_is_settled(&quorum, copies, now, count - now))
            continue;
        settled++;
        assert_int_equal(version_choose(&quorum, copies, now, 0, &before), 0);
        assert_int_equal(version_choose(&quorum, copies, count, 0, &after), 0);
        assert_true(version_is_same(&before.header, &after.header));
        assert_true(after.complete);
        assert_false(after.tied);
    }
    assert_in_range(settled, 200, 19000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_version),
        cmocka_unit_test(test_other_versions),
        cmocka_unit_test(test_without_headers_there_is_no_version),
        cmocka_unit_test(test_a_version_is_complete_with_k_shares),
        cmocka_unit_test(test_a_share_that_is_there_twice_counts_once),
        cmocka_unit_test(test_copies_that_are_cut_do_not_make_it_complete),
        cmocka_unit_test(test_extensions_belong_to_the_full_length),
        cmocka_unit_test(test_a_version_needs_its_own_k_or_k_if_that_is_more),
        cmocka_unit_test(test_nothing_is_complete_where_k_is_not_known),
        cmocka_unit_test(test_the_newest_complete_version_is_first),
        cmocka_unit_test(test_another_complete_version_is_told),
        cmocka_unit_test(test_of_one_time_more_shares_win_and_as_many_are_tied),
        cmocka_unit_test(test_what_copies_of_other_times_or_without_a_header_could_complete),
        cmocka_unit_test(test_without_checks_nothing_else_completes_a_version),
        cmocka_unit_test(test_without_checks_a_misplaced_copy_does_not_count),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_which_k_would_do),
        cmocka_unit_test(test_late_copies_cannot_change_it),
        cmocka_unit_test(test_ranks_are_each_version_once_and_in_order),
        cmocka_unit_test(test_what_is_settled_stays_so_whatever_comes),
    };

    return cmocka_run_group_tests(tests, support_set_up, NULL);
}
