/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "store/pace.h"

static void test_no_answers(void **state)
{
    struct pace pace = {.count = 0};

    assert_int_equal(pace_usual(&pace), 0);
}

static void test_median(void **state)
{
    struct pace pace = {.count = 0};

    pace_add(&pace, 50);
    assert_int_equal(pace_usual(&pace), 50);
    pace_add(&pace, 9000);
    pace_add(&pace, 60);
    assert_int_equal(pace_usual(&pace), 60);
}

/* One that is as it never was changes nothing; when it stays so, it is what is usual. */
static void test_last_answers(void **state)
{
    struct pace pace = {.count = 0};

    for (unsigned i = 0; i < 100; i++)
        pace_add(&pace, 1000 + i);
    pace_add(&pace, 1000000);
    assert_in_range(pace_usual(&pace), 1085, 1100);
    for (unsigned i = 0; i < PACE_ANSWERS / 2 + 1; i++)
        pace_add(&pace, 1000000);
    assert_int_equal(pace_usual(&pace), 1000000);
}

static void test_patience(void **state)
{
    uint64_t mixed[] = {2000000, 1000, 900, 1100, 5000000}, alike[] = {3000000, 3000000}, one = 0;

    assert_in_range(pace_patience(mixed, COUNT_OF(mixed)), 1100, 300000);
    assert_true(pace_patience(alike, COUNT_OF(alike)) > 2 * alike[0]);
    assert_true(pace_patience(&one, 1) > 0);
    assert_true(pace_patience(NULL, 0) > 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_answers),
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_last_answers),
        cmocka_unit_test(test_patience),
    };

    return cmocka_run_group_tests_name("pace", tests, support_set_up, NULL);
}
