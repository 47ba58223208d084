/* SPDX-License-Identifier: MIT */
/* The status that a name shows by rule 3 of docs/design.md: mode, owner, time and links. */
#include "support.h"

#include "trust/name.h"

enum { BALLOTS_MAX = 8, FINE = 123456789 };

static const struct quorum three = {.required = 3};

static struct ballot ballot_of(int voter, mode_t mode, unsigned owner)
{
    return (struct ballot){
        .cast = true,
        .voter = voter,
        .status = {.st_mode = S_IFREG | mode, .st_uid = owner, .st_gid = owner, .st_nlink = 1},
    };
}

static struct ballot at(int voter, time_t seconds, long nanoseconds)
{
    struct ballot ballot = ballot_of(voter, 0644, 0);

    ballot.status.st_mtim = (struct timespec){seconds, nanoseconds};
    return ballot;
}

static struct stat show(const struct ballot ballots[], size_t count)
{
    struct stat status;

    vote_status(&three, ballots, count, &status);
    return status;
}

static void assert_mode(const struct ballot ballots[], size_t count, mode_t mode, unsigned owner)
{
    struct stat status = show(ballots, count);

    assert_int_equal(status.st_mode, S_IFREG | mode);
    assert_int_equal(status.st_uid, owner);
    assert_int_equal(status.st_gid, owner);
}

static void test_attributes(void **state)
{
    struct ballot a = ballot_of(0, 0644, 0), b = ballot_of(1, 0644, 0);

    assert_true(ballot_same_attributes(&a, &b));
    b.status.st_mode |= 04000;
    assert_false(ballot_same_attributes(&a, &b));
    b = a;
    b.status.st_uid = 1;
    assert_false(ballot_same_attributes(&a, &b));
    b = a;
    b.status.st_gid = 1;
    assert_false(ballot_same_attributes(&a, &b));
}

static void test_history(void **state)
{
    struct ballot a = at(0, 10, 0), b = at(1, 11, FINE);

    assert_true(ballot_same_history(&a, &b));
    b.status.st_nlink = 2;
    assert_false(ballot_same_history(&a, &b));
    a.status.st_mode = b.status.st_mode = S_IFDIR | 0755;
    assert_true(ballot_same_history(&a, &b));
    b.status.st_mtim.tv_sec = 12;
    assert_false(ballot_same_history(&a, &b));
}

static void test_most_votes_say_the_mode(void **state)
{
    struct ballot ballots[] = {ballot_of(0, 0666, 1), ballot_of(1, 0644, 2), ballot_of(2, 0644, 2)};

    assert_mode(ballots, 3, 0644, 2);
}

static void test_a_share_that_is_there_twice_votes_once(void **state)
{
    struct ballot ballots[] = {ballot_of(0, 0666, 1), ballot_of(0, 0666, 1), ballot_of(0, 0666, 1),
                               ballot_of(1, 0644, 2), ballot_of(2, 0644, 2)};

    assert_mode(ballots, 5, 0644, 2);
}

static void test_what_is_not_cast_says_nothing(void **state)
{
    struct ballot ballots[] = {ballot_of(0, 0666, 1), ballot_of(1, 0666, 1), ballot_of(2, 0644, 2)};

    ballots[0].cast = ballots[1].cast = false;
    assert_mode(ballots, 3, 0644, 2);
}

static void test_of_modes_with_as_many_votes_what_all_permit(void **state)
{
    struct ballot ballots[] = {ballot_of(0, 0664, 1), ballot_of(1, 0646, 1), ballot_of(2, 0600, 1),
                               ballot_of(3, 0664, 1), ballot_of(4, 0646, 1)};

    assert_mode(ballots, 5, 0644, 1);
    assert_mode(ballots, 3, 0600, 1);
}

/* Two owners: nobody gets the other's file with more than both have. */
static void test_of_owners_with_as_many_votes_what_all_permit(void **state)
{
    struct ballot ballots[] = {ballot_of(0, 0700, 1), ballot_of(1, 0755, 2)};

    assert_mode(ballots, 2, 0700, 1);
}

static void test_stores_of_one_mode_have_no_say_beside_two_that_keep_modes(void **state)
{
    struct ballot ballots[] = {ballot_of(0, 0777, 0), ballot_of(1, 0777, 0), ballot_of(2, 0777, 0),
                               ballot_of(3, 0640, 5), ballot_of(4, 0640, 5)};

    ballots[0].one_mode_only = ballots[1].one_mode_only = ballots[2].one_mode_only = true;
    assert_mode(ballots, 5, 0640, 5);
    assert_mode(ballots, 4, 0777, 0);
    ballots[4].voter = 3; /* the same share twice */
    assert_mode(ballots, 5, 0777, 0);
    ballots[4].voter = NO_VOTE;
    assert_mode(ballots, 5, 0777, 0);
}

static void test_special_bits_need_k_votes_for_them_and_the_owner(void **state)
{
    struct ballot ballots[] = {ballot_of(0, 04755, 0), ballot_of(1, 04755, 0),
                               ballot_of(2, 04755, 0)};

    assert_mode(ballots, 3, 04755, 0);
    assert_mode(ballots, 2, 0755, 0);
    ballots[2].status.st_mode &= ~(mode_t)0055; /* the other bits do not matter */
    assert_mode(ballots, 3, 04755, 0);
    ballots[2].status.st_gid = 1;
    assert_mode(ballots, 3, 0755, 0);
    ballots[2] = ballot_of(1, 04755, 0);
    assert_mode(ballots, 3, 0755, 0);
}

static void assert_time(const struct ballot ballots[], size_t count, time_t seconds,
                        long nanoseconds)
{
    struct stat status = show(ballots, count);

    assert_int_equal(status.st_mtim.tv_sec, seconds);
    assert_int_equal(status.st_mtim.tv_nsec, nanoseconds);
}

static void test_most_votes_say_the_time(void **state)
{
    const struct ballot ballots[] = {at(0, 99, FINE), at(1, 10, FINE), at(2, 10, FINE)};

    assert_time(ballots, 3, 10, FINE);
    assert_time(ballots, 2, 99, FINE); /* of two with as many, the newest */
}

static void test_a_time_is_shown_as_exactly_as_any_has_it(void **state)
{
    const struct ballot ballots[] = {at(0, 10, 0), at(1, 11, 0), at(2, 11, FINE / 1000 * 1000),
                                     at(3, 11, FINE), at(4, 99, FINE)};

    assert_time(ballots, 5, 11, FINE);
    assert_time(ballots, 3, 11, FINE / 1000 * 1000);
}

static void shuffle(struct ballot ballots[], size_t count)
{
    for (size_t i = 0; i + 1 < count; i++) {
        size_t other = random_between(i, count - 1);
        struct ballot ballot = ballots[i];
        ballots[i] = ballots[other];
        ballots[other] = ballot;
    }
}

/* Times that agree with what coarse storage has need not agree with each other. */
static void test_one_store_does_not_outvote_others_by_one_that_is_coarse(void **state)
{
    struct ballot ballots[] = {at(0, 10, 0), at(1, 11, FINE * 2), at(2, 10, FINE), at(3, 10, FINE)};

    for (unsigned run = 0; run < 100; run++) {
        shuffle(ballots, 4);
        assert_time(ballots, 4, 10, FINE);
    }
}

static void test_the_order_of_stores_does_not_matter_for_the_time(void **state)
{
    static const long parts[] = {0, 500000000, FINE / 1000 * 1000, FINE};
    struct ballot ballots[BALLOTS_MAX];

    for (unsigned run = 0; run < 2000; run++) {
        size_t count = random_between(1, BALLOTS_MAX);
        for (size_t i = 0; i < count; i++) {
            ballots[i] = at((int)i, (time_t)random_between(10, 13), parts[random_below(4)]);
            ballots[i].status.st_nlink = random_between(1, 2);
        }
        struct stat before = show(ballots, count);
        shuffle(ballots, count);
        struct stat after = show(ballots, count);
        assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
        assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
        assert_int_equal(before.st_nlink, after.st_nlink);
    }
}

static void test_the_rest_is_of_a_store_that_has_the_time_and_is_not_slow(void **state)
{
    struct ballot ballots[] = {at(0, 99, 0), at(1, 10, 0), at(2, 10, 0), at(3, 10, 0)};

    for (size_t i = 0; i < 4; i++)
        ballots[i].status.st_ino = i;
    ballots[1].slow = true;
    assert_int_equal(show(ballots, 4).st_ino, 2);
    ballots[2].slow = ballots[3].slow = true;
    assert_in_range(show(ballots, 4).st_ino, 1, 3);
}

static void test_more_links_have_lost_less(void **state)
{
    struct ballot ballots[] = {at(0, 10, 0), at(1, 10, 0)};

    ballots[1].status.st_nlink = 2;
    assert_int_equal(show(ballots, 2).st_nlink, 2);
}

static void test_late_stores_cannot_change_the_time(void **state)
{
    const struct ballot ballots[] = {at(0, 10, FINE), at(1, 10, FINE), at(2, 10, FINE),
                                     at(3, 99, FINE)};

    assert_true(vote_is_settled(ballots, 4, 1, ballot_same_history));
    assert_false(vote_is_settled(ballots, 4, 2, ballot_same_history));
    assert_true(vote_is_settled(ballots, 3, 2, ballot_same_history));
    assert_false(vote_is_settled(ballots, 0, 0, ballot_same_history));
}

static void test_a_late_store_may_bring_special_bits_to_k_votes(void **state)
{
    const struct ballot ballots[] = {ballot_of(0, 02755, 0), ballot_of(1, 02755, 0),
                                     ballot_of(2, 02755, 0), ballot_of(3, 02755, 0)};

    assert_false(mode_is_settled(&three, ballots, 2, 1));
    assert_true(mode_is_settled(&three, ballots, 3, 1));
    assert_true(mode_is_settled(&three, ballots, 4, 3));
}

static void test_a_late_store_may_take_the_vote_of_others(void **state)
{
    struct ballot ballots[] = {ballot_of(0, 0777, 0), ballot_of(1, 0777, 0), ballot_of(2, 0777, 0),
                               ballot_of(3, 0640, 5)};

    assert_true(mode_is_settled(&three, ballots, 4, 1));
    ballots[0].one_mode_only = ballots[1].one_mode_only = ballots[2].one_mode_only = true;
    assert_true(mode_is_settled(&three, ballots, 4, 0));
    assert_false(mode_is_settled(&three, ballots, 4, 1));
    assert_true(mode_is_settled(&three, ballots, 3, 1));
}

static struct ballot any_ballot(int voter)
{
    static const mode_t modes[] = {0644, 0644, 0600, 04644};
    struct ballot ballot = ballot_of(voter, modes[random_below(4)], 0);

    ballot.one_mode_only = random_below(4) == 0;
    return ballot;
}

static void test_a_mode_that_is_settled_stays_so_whatever_comes(void **state)
{
    struct ballot ballots[BALLOTS_MAX + 2];
    unsigned settled = 0;

    for (unsigned run = 0; run < 20000; run++) {
        size_t count = random_between(1, BALLOTS_MAX), pending = random_between(1, 2), keepers = 0;
        for (size_t i = 0; i < count + pending; i++)
            ballots[i] = any_ballot((int)i);
        for (size_t i = 0; i < count; i++)
            keepers += !ballots[i].one_mode_only;
        if (keepers == 0 || !mode_is_settled(&three, ballots, count, pending))
            continue;
        settled++;
        assert_mode(ballots, count + pending, show(ballots, count).st_mode & 07777, 0);
    }
    assert_in_range(settled, 500, 19000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_most_votes_say_the_mode),
        cmocka_unit_test(test_a_share_that_is_there_twice_votes_once),
        cmocka_unit_test(test_what_is_not_cast_says_nothing),
        cmocka_unit_test(test_of_modes_with_as_many_votes_what_all_permit),
        cmocka_unit_test(test_of_owners_with_as_many_votes_what_all_permit),
        cmocka_unit_test(test_stores_of_one_mode_have_no_say_beside_two_that_keep_modes),
        cmocka_unit_test(test_special_bits_need_k_votes_for_them_and_the_owner),
        cmocka_unit_test(test_most_votes_say_the_time),
        cmocka_unit_test(test_a_time_is_shown_as_exactly_as_any_has_it),
        cmocka_unit_test(test_one_store_does_not_outvote_others_by_one_that_is_coarse),
        cmocka_unit_test(test_the_order_of_stores_does_not_matter_for_the_time),
        cmocka_unit_test(test_the_rest_is_of_a_store_that_has_the_time_and_is_not_slow),
        cmocka_unit_test(test_more_links_have_lost_less),
        cmocka_unit_test(test_late_stores_cannot_change_the_time),
        cmocka_unit_test(test_a_late_store_may_bring_special_bits_to_k_votes),
        cmocka_unit_test(test_a_late_store_may_take_the_vote_of_others),
        cmocka_unit_test(test_a_mode_that_is_settled_stays_so_whatever_comes),
    };

    return cmocka_run_group_tests(tests, support_set_up, NULL);
}
