/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "choice/vote.h"

#include <sys/sysmacros.h>

enum { BALLOTS_MAX = 8 };

static struct ballot ballot_of(mode_t mode, time_t seconds)
{
    return (struct ballot){.cast = true, .status = {.st_mode = mode, .st_mtim.tv_sec = seconds}};
}

static struct ballot link_to(const char *target)
{
    struct ballot ballot = ballot_of(S_IFLNK | 0777, 0);

    ballot.target = target;
    return ballot;
}

static struct ballot device(mode_t type, unsigned number)
{
    struct ballot ballot = ballot_of(type | 0600, 0);

    ballot.status.st_rdev = makedev(8, number);
    return ballot;
}

static void assert_kinds(struct ballot a, struct ballot b, bool same)
{
    assert_int_equal(ballot_same_kind(&a, &b), same);
    assert_int_equal(ballot_same_kind(&b, &a), same);
}

static void test_kinds(void **state)
{
    static const mode_t types[] = {S_IFREG, S_IFDIR, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK};

    for (size_t i = 0; i < COUNT_OF(types); i++) {
        for (size_t j = 0; j < COUNT_OF(types); j++)
            assert_kinds(ballot_of(types[i] | 0644, 1), ballot_of(types[j] | 0700, 2), i == j);
        assert_kinds(ballot_of(types[i], 0), link_to("x"), false);
    }
    assert_kinds(link_to("x"), link_to("x"), true);
    assert_kinds(link_to("x"), link_to("xy"), false);
    assert_kinds(device(S_IFCHR, 3), device(S_IFCHR, 3), true);
    assert_kinds(device(S_IFCHR, 3), device(S_IFCHR, 5), false);
    assert_kinds(device(S_IFBLK, 3), device(S_IFBLK, 5), false);
    assert_kinds(device(S_IFIFO, 3), device(S_IFIFO, 5), true);
}

static void test_attributes(void **state)
{
    struct ballot a = ballot_of(S_IFREG | 0644, 1), b = ballot_of(S_IFREG | 0644, 2);

    assert_true(ballot_same_attributes(&a, &b));
    b.status.st_mode = S_IFREG | 04644;
    assert_false(ballot_same_attributes(&a, &b));
    b = a;
    b.status.st_uid = 1;
    assert_false(ballot_same_attributes(&a, &b));
    b = a;
    b.status.st_gid = 1;
    assert_false(ballot_same_attributes(&a, &b));
}

static void test_no_ballots(void **state)
{
    struct ballot ballots[3] = {{.cast = false}};

    assert_int_equal(vote(ballots, 0, ballot_same_kind), 0);
    assert_int_equal(vote(ballots, 3, ballot_same_kind), 3);
}

static void test_most(void **state)
{
    struct ballot ballots[] = {ballot_of(S_IFREG, 900), ballot_of(S_IFDIR, 1),
                               ballot_of(S_IFDIR, 2), link_to("x")};

    assert_int_equal(vote(ballots, 4, ballot_same_kind), 2);
}

/* What is not cast neither wins nor counts, whatever stands in it. */
static void test_not_cast(void **state)
{
    struct ballot ballots[] = {ballot_of(S_IFREG, 1), ballot_of(S_IFDIR, 9), ballot_of(S_IFDIR, 9),
                               ballot_of(S_IFREG, 2)};

    ballots[1].cast = ballots[2].cast = false;
    assert_int_equal(vote(ballots, 4, ballot_same_kind), 3);
}

static void test_newest_among_equals(void **state)
{
    struct ballot ballots[] = {ballot_of(S_IFREG, 5), ballot_of(S_IFDIR, 7), ballot_of(S_IFREG, 6),
                               ballot_of(S_IFDIR, 4)};

    assert_int_equal(vote(ballots, 4, ballot_same_kind), 1);
    ballots[2].status.st_mtim = ballots[1].status.st_mtim;
    ballots[2].status.st_mtim.tv_nsec = 1;
    assert_int_equal(vote(ballots, 4, ballot_same_kind), 2);
}

static void test_first_of_equal_ones(void **state)
{
    struct ballot ballots[] = {ballot_of(S_IFDIR, 7), ballot_of(S_IFREG, 7), ballot_of(S_IFREG, 7)};

    assert_int_equal(vote(ballots, 2, ballot_same_kind), 0);
    assert_int_equal(vote(ballots, 3, ballot_same_kind), 1);
}

static void test_symlink_targets(void **state)
{
    struct ballot ballots[] = {link_to("/etc/passwd"), link_to("file"), link_to("file")};

    ballots[0].status.st_mtim.tv_sec = 1000;
    assert_int_equal(vote(ballots, 3, ballot_same_kind), 1);
}

static struct ballot random_ballot(void)
{
    static const mode_t types[] = {S_IFREG, S_IFDIR, S_IFIFO};
    struct ballot ballot = ballot_of(types[random_below(COUNT_OF(types))], (time_t)random_below(3));

    ballot.cast = random_below(5) > 0;
    ballot.status.st_mtim.tv_nsec = (long)random_below(2);
    return ballot;
}

static unsigned votes_for(const struct ballot ballots[], size_t count, size_t place)
{
    unsigned votes = 0;

    for (size_t i = 0; i < count; i++)
        votes += ballots[i].cast && ballot_same_kind(&ballots[i], &ballots[place]);
    return votes;
}

static int64_t time_of(const struct ballot *ballot)
{
    return ballot->status.st_mtim.tv_sec * 1000 + ballot->status.st_mtim.tv_nsec;
}

/* No one has more votes than the winner, nor as many and a newer time. */
static void test_random(void **state)
{
    struct ballot ballots[BALLOTS_MAX];

    for (unsigned round = 0; round < 20000; round++) {
        size_t count = random_below(BALLOTS_MAX + 1);
        for (size_t i = 0; i < count; i++)
            ballots[i] = random_ballot();
        size_t winner = vote(ballots, count, ballot_same_kind);
        for (size_t i = 0; i < count; i++) {
            if (!ballots[i].cast)
                continue;
            assert_true(winner < count && ballots[winner].cast);
            unsigned ours = votes_for(ballots, count, winner),
                     theirs = votes_for(ballots, count, i);
            assert_true(theirs <= ours);
            assert_true(theirs < ours || time_of(&ballots[i]) <= time_of(&ballots[winner]));
        }
    }
}

/* What is settled stays as it is, however those that are missing vote. */
static void test_settled(void **state)
{
    struct ballot ballots[BALLOTS_MAX + 3] = {0};
    unsigned settled = 0;

    for (unsigned round = 0; round < 20000; round++) {
        size_t known = 1 + random_below(BALLOTS_MAX), pending = 1 + random_below(3);
        for (size_t i = 0; i < known; i++) {
            ballots[i] = ballot_of(S_IFREG | 0600 | (mode_t)random_below(2), 0);
            ballots[i].cast = random_below(5) > 0;
            ballots[i].silent = random_below(8) == 0;
        }
        if (!vote_is_settled(ballots, known, pending, ballot_same_attributes))
            continue;
        settled++;
        size_t winner = vote(ballots, known, ballot_same_attributes);
        for (size_t i = 0; i < pending; i++)
            ballots[known + i] = ballot_of(S_IFREG | 0600 | (mode_t)random_below(3), 1);
        size_t later = vote(ballots, known + pending, ballot_same_attributes);
        assert_true(ballot_same_attributes(&ballots[winner], &ballots[later]));
    }
    assert_true(settled > 1000);
}

/* Inode numbers come from a store that is not slow, if one says the same. */
static void test_slow_ones(void **state)
{
    struct ballot ballots[3];
    struct stat status;

    for (ino_t i = 0; i < 3; i++) {
        ballots[i] = ballot_of(S_IFREG | 0644, 5);
        ballots[i].status.st_ino = 10 + i;
    }
    ballots[0].slow = true;
    vote_status(ballots, 3, &status);
    assert_int_equal(status.st_ino, 11);
    ballots[1].status.st_mtim.tv_sec = 4;
    vote_status(ballots, 3, &status);
    assert_int_equal(status.st_ino, 12);
    ballots[2].slow = true;
    vote_status(ballots, 3, &status);
    assert_int_equal(status.st_ino, 10);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_no_ballots),
        cmocka_unit_test(test_most),
        cmocka_unit_test(test_not_cast),
        cmocka_unit_test(test_newest_among_equals),
        cmocka_unit_test(test_first_of_equal_ones),
        cmocka_unit_test(test_symlink_targets),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_settled),
        cmocka_unit_test(test_slow_ones),
    };

    return cmocka_run_group_tests_name("vote", tests, support_set_up, NULL);
}
