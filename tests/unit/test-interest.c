/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "mount/interest.h"

#include "base/clock.h"

/* Lists directories of files, none of which is looked at. How many bring attributes. */
static unsigned list_names(struct interest *interest)
{
    for (unsigned listings = 0; listings < 100; listings++) {
        enum detail detail = interest_in_listing(interest);
        if (detail == DETAIL_NAMES)
            return listings;
        if (detail == DETAIL_ALL_BUT_ONE)
            interest_note_left_out(interest);
    }
    return 100;
}

static void test_names_alone_after_some_listings(void **state)
{
    struct interest interest = {0};

    assert_int_equal(list_names(&interest), 3);
    assert_int_equal(interest_in_listing(&interest), DETAIL_NAMES);
}

static void test_all_as_long_as_files_are_looked_at(void **state)
{
    struct interest interest = {0};
    unsigned left_out = 0;

    for (unsigned i = 0; i < 900; i++) {
        enum detail detail = interest_in_listing(&interest);
        assert_int_not_equal(detail, DETAIL_NAMES);
        if (detail == DETAIL_ALL_BUT_ONE) {
            left_out++;
            interest_note_left_out(&interest);
            interest_note_look_up(&interest);
        }
    }
    assert_int_equal(left_out, 100);
}

static void test_directories_without_files_say_nothing(void **state)
{
    struct interest interest = {0};

    for (unsigned i = 0; i < 900; i++)
        assert_int_equal(interest_in_listing(&interest), DETAIL_ALL_BUT_ONE);
}

static void test_a_look_brings_attributes_again(void **state)
{
    struct interest interest = {0};

    list_names(&interest);
    interest_note_look_up(&interest);
    assert_int_equal(interest_in_listing(&interest), DETAIL_ALL);
}

static void test_after_a_pause_it_is_asked_anew(void **state)
{
    struct interest interest = {0};

    list_names(&interest);
    atomic_store(&interest.last, clock_now() - 2 * CLOCK_SECOND);
    assert_int_equal(list_names(&interest), 3);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_alone_after_some_listings),
        cmocka_unit_test(test_all_as_long_as_files_are_looked_at),
        cmocka_unit_test(test_directories_without_files_say_nothing),
        cmocka_unit_test(test_a_look_brings_attributes_again),
        cmocka_unit_test(test_after_a_pause_it_is_asked_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
