/* SPDX-License-Identifier: MIT */
/* Rule 3 of docs/design.md. */
#include "support.h"

#include "trust/name.h"

#include <sys/sysmacros.h>

enum { BALLOTS_MAX = 8 };

static const struct quorum three = {.required = 3};

/* What store VOTER has. */
static struct ballot ballot_of(int voter, mode_t mode)
{
    return (struct ballot){.cast = true,
                           .voter = voter,
                           .status = {.st_mode = mode, .st_nlink = 1},
                           .has_header = S_ISREG(mode)};
}

static struct ballot link_to(int voter, const char *target)
{
    struct ballot ballot = ballot_of(voter, S_IFLNK | 0777);

    ballot.target = target;
    return ballot;
}

static struct ballot device(mode_t type, unsigned number)
{
    struct ballot ballot = ballot_of(0, type | 0600);

    ballot.status.st_rdev = makedev(8, number);
    return ballot;
}

static struct ballot headless(int voter)
{
    struct ballot ballot = ballot_of(voter, S_IFREG | 0644);

    ballot.has_header = false;
    return ballot;
}

static struct ballot not_cast(int voter)
{
    struct ballot ballot = ballot_of(voter, S_IFREG | 0644);

    ballot.cast = false;
    return ballot;
}

/* Stores 0, 1, ... by a letter each: file, broken file, directory, pipe, symlinks to a and b, - */
static size_t read_ballots(const char *letters, struct ballot ret[])
{
    size_t count = 0;

    for (; letters[count]; count++) {
        int voter = (int)count;
        switch (letters[count]) {
        case 'f':
            ret[count] = ballot_of(voter, S_IFREG | 0644);
            break;
        case 'x':
            ret[count] = headless(voter);
            break;
        case 'n':
            ret[count] = headless(NO_VOTE);
            break;
        case 'd':
            ret[count] = ballot_of(voter, S_IFDIR | 0755);
            break;
        case 'p':
            ret[count] = ballot_of(voter, S_IFIFO | 0644);
            break;
        case 'a':
        case 'b':
            ret[count] = link_to(voter, letters[count] == 'a' ? "a" : "b");
            break;
        default:
            ret[count] = not_cast(voter);
        }
    }
    return count;
}

static struct name_ruling rule(unsigned required, const char *letters)
{
    struct quorum quorum = {.required = required};
    struct ballot ballots[BALLOTS_MAX + 4];
    struct name_ruling ruling;

    name_rule(&quorum, ballots, read_ballots(letters, ballots), &ruling);
    return ruling;
}

static void assert_settled(unsigned required, const char *letters, size_t winner, unsigned votes)
{
    struct name_ruling ruling = rule(required, letters);

    assert_int_equal(ruling.verdict, NAME_SETTLED);
    assert_int_equal(ruling.winner, winner);
    assert_int_equal(ruling.votes, votes);
}

static void assert_rules(unsigned required, const char *letters, enum name_verdict verdict)
{
    assert_int_equal(rule(required, letters).verdict, verdict);
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
            assert_kinds(ballot_of(1, types[i] | 0644), ballot_of(2, types[j] | 0700), i == j);
        assert_kinds(ballot_of(1, types[i]), link_to(1, "x"), false);
    }
    assert_kinds(link_to(1, "x"), link_to(2, "x"), true);
    assert_kinds(link_to(1, "x"), link_to(2, "xy"), false);
    assert_kinds(device(S_IFCHR, 3), device(S_IFCHR, 3), true);
    assert_kinds(device(S_IFCHR, 3), device(S_IFCHR, 5), false);
    assert_kinds(device(S_IFBLK, 3), device(S_IFBLK, 5), false);
    assert_kinds(device(S_IFIFO, 3), device(S_IFIFO, 5), true);
}

static void test_nothing_is_absent(void **state)
{
    assert_rules(3, "", NAME_ABSENT);
    assert_rules(3, "---", NAME_ABSENT);
}

static void test_k_votes_settle_a_name(void **state)
{
    assert_settled(3, "fff", 0, 3);
    assert_settled(3, "-pdpp", 1, 3);
    assert_settled(1, "--p", 2, 1);
    assert_rules(3, "pp", NAME_FOREIGN);
}

static void test_two_votes_are_enough_for_directories_and_symlinks(void **state)
{
    assert_settled(3, "d-d-", 0, 2);
    assert_settled(5, "-aba", 1, 2);
    assert_rules(3, "d---", NAME_FOREIGN);
    assert_rules(3, "ab--", NAME_FOREIGN);
    assert_settled(1, "a", 0, 1);
    assert_int_equal(rule(5, "dd").needed, 2);
    assert_int_equal(rule(1, "dd").needed, 1);
    assert_int_equal(rule(5, "fffff").needed, 5);
}

/* Of those that have what they need; what lacks it has no say. */
static void test_most_votes_win(void **state)
{
    assert_settled(3, "ddfff", 2, 3);
    assert_settled(3, "fffdddd", 3, 4);
    assert_settled(4, "fffdd", 3, 2);
    assert_settled(3, "aabbb", 2, 3);
}

static void test_equally_many_votes_are_a_conflict(void **state)
{
    struct name_ruling ruling = rule(3, "-dfdffd");

    assert_int_equal(ruling.verdict, NAME_CONFLICT);
    assert_int_equal(ruling.winner, 1);
    assert_int_equal(ruling.rival, 2);
    assert_int_equal(ruling.votes, 3);
    assert_rules(3, "aabb", NAME_CONFLICT);
    assert_rules(3, "ddffd", NAME_SETTLED);
    assert_rules(4, "fffppp", NAME_LOST); /* neither has what it needs */
}

static void test_a_file_of_two_shares_is_lost_and_not_foreign(void **state)
{
    struct name_ruling ruling = rule(4, "pxff");

    assert_int_equal(ruling.verdict, NAME_LOST);
    assert_int_equal(ruling.winner, 2);
    assert_int_equal(ruling.votes, 3); /* with the broken one */
    assert_int_equal(ruling.needed, 4);
    assert_rules(4, "ff", NAME_LOST);
    assert_rules(3, "fx", NAME_FOREIGN);
    assert_rules(3, "f", NAME_FOREIGN);
    assert_rules(3, "xx", NAME_FOREIGN);
}

static void test_a_share_that_is_there_twice_votes_once(void **state)
{
    struct ballot ballots[] = {ballot_of(4, S_IFREG), ballot_of(4, S_IFREG), ballot_of(5, S_IFREG)};
    struct name_ruling ruling;

    name_rule(&three, ballots, 3, &ruling);
    assert_int_equal(ruling.verdict, NAME_LOST);
    assert_int_equal(ruling.votes, 2);
    ballots[2].voter = 4;
    name_rule(&three, ballots, 3, &ruling);
    assert_int_equal(ruling.verdict, NAME_FOREIGN);
}

/* Files of stores without a vote: for a file that a store with one vouches for, and no other kind.
 */
static void test_stores_without_a_vote(void **state)
{
    struct ballot ballots[BALLOTS_MAX];
    struct name_ruling ruling;

    assert_settled(3, "fnn", 0, 3);
    assert_rules(3, "nnn", NAME_FOREIGN);
    assert_rules(3, "xnn", NAME_FOREIGN);
    size_t count = read_ballots("ddddd", ballots);
    for (size_t i = 1; i < count; i++)
        ballots[i].voter = NO_VOTE;
    name_rule(&three, ballots, count, &ruling);
    assert_int_equal(ruling.verdict, NAME_FOREIGN);
    assert_int_equal(ruling.votes, 1);
}

static void assert_final(unsigned required, const char *letters, size_t pending, bool expected)
{
    struct quorum quorum = {.required = required};
    struct ballot ballots[BALLOTS_MAX + 4];
    struct name_ruling ruling;
    size_t count = read_ballots(letters, ballots);

    name_rule(&quorum, ballots, count, &ruling);
    assert_int_equal(name_is_settled(&quorum, ballots, count, pending, &ruling), expected);
}

static void test_stores_that_are_late_cannot_change_it(void **state)
{
    assert_final(3, "fff", 2, true);
    assert_final(3, "fff", 3, false);
    assert_final(3, "dddaa", 0, true);
    assert_final(3, "dddaa", 1, false);
    assert_final(3, "ff", 0, false);
    assert_final(3, "", 0, false);
    assert_final(3, "dda", 1, false); /* a conflict, then */
    assert_final(3, "ddp", 1, true);  /* a pipe needs three */
}

/* The kind that could overtake need not be the one that is second by now. */
static void test_a_third_kind_may_come_to_what_it_needs(void **state)
{
    assert_final(5, "ddddaaffff", 1, false);
    assert_final(6, "ddddaaffff", 1, true);
}

static void test_a_late_store_may_vouch_for_files_of_stores_without_a_vote(void **state)
{
    assert_final(3, "dddnnn", 0, true);
    assert_final(3, "dddnnn", 1, false);
    assert_final(3, "dddn", 1, true);
}

static bool is_like(const struct name_ruling *a, const struct ballot before[],
                    const struct name_ruling *b, const struct ballot after[])
{
    return b->verdict == NAME_SETTLED && ballot_same_kind(&before[a->winner], &after[b->winner]);
}

static void test_what_is_settled_stays_so_whatever_comes(void **state)
{
    static const char letters[] = "ffxndpab-";
    struct ballot ballots[BALLOTS_MAX + 3];
    char text[BALLOTS_MAX + 4];
    unsigned settled = 0;

    for (unsigned run = 0; run < 20000; run++) {
        struct quorum quorum = {.required = (unsigned)random_between(1, 4)};
        size_t count = random_between(1, BALLOTS_MAX), pending = random_between(1, 3);
        struct name_ruling before, after;
        for (size_t i = 0; i < count + pending; i++)
            text[i] = letters[random_below(i < count ? 9 : 8)];
        text[count + pending] = '\0';
        read_ballots(text, ballots);
        name_rule(&quorum, ballots, count, &before);
        if (!name_is_settled(&quorum, ballots, count, pending, &before))
            continue;
        settled++;
        name_rule(&quorum, ballots, count + pending, &after);
        assert_true(is_like(&before, ballots, &after, ballots));
    }
    assert_in_range(settled, 1000, 19000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_nothing_is_absent),
        cmocka_unit_test(test_k_votes_settle_a_name),
        cmocka_unit_test(test_two_votes_are_enough_for_directories_and_symlinks),
        cmocka_unit_test(test_most_votes_win),
        cmocka_unit_test(test_equally_many_votes_are_a_conflict),
        cmocka_unit_test(test_a_file_of_two_shares_is_lost_and_not_foreign),
        cmocka_unit_test(test_a_share_that_is_there_twice_votes_once),
        cmocka_unit_test(test_stores_without_a_vote),
        cmocka_unit_test(test_stores_that_are_late_cannot_change_it),
        cmocka_unit_test(test_a_third_kind_may_come_to_what_it_needs),
        cmocka_unit_test(test_a_late_store_may_vouch_for_files_of_stores_without_a_vote),
        cmocka_unit_test(test_what_is_settled_stays_so_whatever_comes),
    };

    return cmocka_run_group_tests(tests, support_set_up, NULL);
}
