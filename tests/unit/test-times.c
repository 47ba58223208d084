/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "base/times.h"

enum { SECOND = 1000 * 1000 * 1000 };

static const uint64_t granularities[] = {
    (uint64_t)2 * SECOND, SECOND, 1000 * 1000, 1000, 100, 1,
};

static struct timespec at(time_t seconds, long nanoseconds)
{
    return (struct timespec){seconds, nanoseconds};
}

static void assert_granularity(time_t seconds, long nanoseconds, uint64_t expected)
{
    struct timespec time = at(seconds, nanoseconds);

    assert_int_equal(times_granularity(&time), expected);
}

static void test_granularity(void **state)
{
    assert_granularity(10, 0, (uint64_t)2 * SECOND);
    assert_granularity(0, 0, (uint64_t)2 * SECOND);
    assert_granularity(-2, 0, (uint64_t)2 * SECOND);
    assert_granularity(11, 0, SECOND);
    assert_granularity(-1, 0, SECOND);
    assert_granularity(10, 123000000, 1000 * 1000);
    assert_granularity(10, 500000000, 1000 * 1000);
    assert_granularity(11, 123456000, 1000);
    assert_granularity(11, 123456700, 100);
    assert_granularity(11, 123456789, 1);
    assert_granularity(11, 123456790, 1);
}

static void assert_agree(struct timespec a, struct timespec b, bool expected)
{
    assert_int_equal(times_agree(&a, &b), expected);
    assert_int_equal(times_agree(&b, &a), expected);
}

static void test_agree(void **state)
{
    struct timespec fine = at(11, 123456789);

    assert_agree(fine, fine, true);
    assert_agree(fine, at(11, 123456788), false);
    assert_agree(fine, at(11, 123456700), true);
    assert_agree(fine, at(11, 123456800), false);
    assert_agree(fine, at(11, 123456000), true);
    assert_agree(fine, at(11, 123000000), true);
    assert_agree(fine, at(11, 124000000), false);
    assert_agree(fine, at(11, 0), true);
    assert_agree(fine, at(12, 0), false);
    assert_agree(fine, at(10, 0), true);
    assert_agree(at(11, 0), at(10, 0), true);
    assert_agree(at(11, 0), at(12, 0), false);
    assert_agree(at(12, 0), at(10, 0), false);
    assert_agree(fine, at(9, 0), false);
    assert_agree(fine, at(8, 0), false);
}

/* What a coarse time agrees with may disagree. */
static void test_not_transitive(void **state)
{
    assert_agree(at(10, 500000001), at(10, 0), true);
    assert_agree(at(11, 0), at(10, 0), true);
    assert_agree(at(11, 0), at(10, 500000001), false);
}

/* Rounding down goes away from zero there. */
static void test_before_1970(void **state)
{
    assert_agree(at(-1, 999999999), at(-1, 0), true);
    assert_agree(at(-1, 999999999), at(-2, 0), true);
    assert_agree(at(-1, 999999999), at(0, 0), false);
    assert_agree(at(-1, 999999999), at(-1, 500000001), true); /* at the fineness of a second */
    assert_agree(at(-3, 5), at(-4, 0), true);
    assert_agree(at(-3, 5), at(-2, 0), false);
}

/* One second too many, and all the nanoseconds that there can be, where there are any. */
static void test_of_mounts_by_rclone(void **state)
{
    struct timespec shown = at(-5, 999999999);

    assert_granularity(-5, 999999999, SECOND);
    assert_granularity(0, 999999999, SECOND);
    assert_granularity(1, 999999999, 1);
    assert_agree(shown, shown, true);
    assert_agree(shown, at(-6, 123456789), true);
    assert_agree(shown, at(-6, 999999999), true); /* what is so itself, at a store that shows it */
    assert_agree(shown, at(-6, 0), true);         /* cut to seconds by another */
    assert_agree(shown, at(-7, 123456789), false);
    assert_agree(shown, at(-4, 123456789), false);
    assert_agree(at(0, 999999999), at(-1, 123456789), true);
    assert_agree(at(1, 999999999), at(0, 123456789), false);
    for (size_t i = 0; i < sizeof granularities / sizeof *granularities; i++) {
        struct timespec before = at(-6, 123456789), two_before = at(-8, 123456789);
        assert_true(times_agree_at(&shown, &before, granularities[i]));
        assert_false(times_agree_at(&shown, &two_before, granularities[i]));
    }
}

/* SFTP keeps 32 bits of the seconds. */
static void test_of_sftp(void **state)
{
    const int64_t turn = INT64_C(1) << 32;
    struct timespec before = at(-3, 500000001), shown = at(turn - 3, 0), far = at(turn + 7, 0);

    assert_agree(before, shown, true);
    assert_agree(at(-3, 0), shown, true);
    assert_agree(before, at(turn - 2, 0), false);
    assert_agree(before, at(turn - 3, 500000001), false); /* no SFTP is so fine */
    assert_agree(far, at(7, 0), true);
    assert_true(times_exceed_sftp(&before) && times_exceed_sftp(&far));
    assert_false(times_exceed_sftp(&shown));
}

static struct timespec rounded(int64_t nanoseconds, uint64_t granularity)
{
    int64_t rest = nanoseconds % (int64_t)granularity;

    nanoseconds -= rest < 0 ? rest + (int64_t)granularity : rest;
    rest = nanoseconds % SECOND;
    rest = rest < 0 ? rest + SECOND : rest;
    return at((time_t)((nanoseconds - rest) / SECOND), (long)rest);
}

/* A time agrees with what any file system makes of it, and not with that of the next step. */
static void test_rounded_by_any_file_system(void **state)
{
    for (unsigned i = 0; i < 100000; i++) {
        int64_t time = (int64_t)random_below(UINT64_C(1) << 62) - (INT64_C(1) << 61);
        struct timespec fine = rounded(time, 1);
        for (size_t j = 0; j < COUNT_OF(granularities); j++) {
            assert_agree(fine, rounded(time, granularities[j]), true);
            struct timespec next = rounded(time + (int64_t)granularities[j], granularities[j]);
            assert_agree(fine, next, times_granularity(&fine) > granularities[j]);
        }
    }
}

/* A time that happens to be whole is exact in storage that keeps finer ones. */
static void test_granularity_in_storage(void **state)
{
    struct timespec whole = at(10, 0), fine = at(10, 123456789);

    assert_int_equal(times_granularity_in(&whole, 0), (uint64_t)2 * SECOND);
    assert_int_equal(times_granularity_in(&whole, SECOND), SECOND);
    assert_int_equal(times_granularity_in(&whole, 100), 100);
    assert_int_equal(times_granularity_in(&fine, SECOND), 1);
    assert_true(times_agree_at(&whole, &fine, SECOND));
    assert_false(times_agree_at(&whole, &fine, 100));
}

static void test_equal(void **state)
{
    struct timespec a = at(10, 0), b = at(10, 1), c = at(11, 0);

    assert_int_equal(times_compare(&a, &a), 0);
    assert_int_not_equal(times_compare(&a, &b), 0);
    assert_int_not_equal(times_compare(&a, &c), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_granularity),
        cmocka_unit_test(test_agree),
        cmocka_unit_test(test_not_transitive),
        cmocka_unit_test(test_of_sftp),
        cmocka_unit_test(test_before_1970),
        cmocka_unit_test(test_of_mounts_by_rclone),
        cmocka_unit_test(test_rounded_by_any_file_system),
        cmocka_unit_test(test_granularity_in_storage),
        cmocka_unit_test(test_equal),
    };

    return cmocka_run_group_tests_name("times", tests, support_set_up, NULL);
}
