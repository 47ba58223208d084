/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "trust/quorum.h"

enum { STORES_MAX = 8 };

/* A store that holds files, most of which are of this share, and say this k. */
static struct store_voice voice_of(int share, unsigned required)
{
    struct store_voice voice = {
        .share = share, .required = required, .has_files = true, .has_names = true};

    voice.uses[required] = share >= 0;
    return voice;
}

/* One with files none of which has an intact header. */
static struct store_voice headless(void)
{
    return voice_of(NO_VOTE, 0);
}

static struct store_voice without_files(bool has_names)
{
    return (struct store_voice){.share = NO_VOTE, .has_names = has_names};
}

static struct stat status_of(mode_t mode, uid_t uid)
{
    return (struct stat){.st_mode = mode, .st_uid = uid};
}

static void test_stores_that_show_one_mode_for_everything(void **state)
{
    struct stat file = status_of(S_IFREG | 0644, 1), other = status_of(S_IFREG | 0600, 1),
                foreign = status_of(S_IFREG | 0644, 2), directory = status_of(S_IFDIR | 0755, 1),
                link = status_of(S_IFLNK | 0777, 1), foreign_link = status_of(S_IFLNK | 0777, 2);
    struct store_voice voice = {.share = 0};

    assert_false(store_voice_keeps_no_modes(&voice, &file));
    one_mode_note(&voice.files, &file);
    one_mode_note(&voice.files, &file);
    assert_true(store_voice_keeps_no_modes(&voice, &file));
    assert_false(store_voice_keeps_no_modes(&voice, &other));
    assert_false(store_voice_keeps_no_modes(&voice, &foreign));
    assert_false(store_voice_keeps_no_modes(&voice, &directory));
    assert_true(store_voice_keeps_no_modes(&voice, &link));
    assert_false(store_voice_keeps_no_modes(&voice, &foreign_link));
    one_mode_note(&voice.directories, &directory);
    assert_true(store_voice_keeps_no_modes(&voice, &directory));
    one_mode_note(&voice.files, &other);
    assert_false(store_voice_keeps_no_modes(&voice, &file));
    assert_false(store_voice_keeps_no_modes(&voice, &directory));
}

static struct quorum settle(const struct store_voice voices[], size_t count, unsigned given)
{
    struct quorum quorum;

    quorum_settle(voices, count, given, &quorum);
    return quorum;
}

static void test_k_is_what_most_shares_say(void **state)
{
    const struct store_voice voices[] = {voice_of(0, 3), voice_of(1, 2), voice_of(2, 3),
                                         voice_of(3, 9)};
    const struct quorum quorum = settle(voices, 4, 0);

    assert_int_equal(quorum.required, 3);
    assert_false(quorum.given);
    assert_false(quorum.no_files);
    assert_int_equal(quorum.votes, 4);
    assert_int_equal(quorum.with_files, 4);
    assert_int_equal(quorum.with_vote, 4);
    assert_int_equal(quorum.largest_k, 3);
}

static void test_of_two_with_as_many_the_larger_k(void **state)
{
    const struct store_voice voices[] = {voice_of(0, 3), voice_of(1, 2), voice_of(2, 3),
                                         voice_of(3, 2)};

    assert_int_equal(settle(voices, 4, 0).required, 3);
    assert_int_equal(settle(voices, 2, 0).required, 3);
}

static void test_a_share_that_is_there_twice_is_one_vote(void **state)
{
    const struct store_voice voices[] = {voice_of(5, 1), voice_of(5, 1), voice_of(5, 1),
                                         voice_of(1, 2), voice_of(2, 2)};
    const struct quorum quorum = settle(voices, 5, 0);

    assert_int_equal(quorum.required, 2);
    assert_int_equal(quorum.votes, 3);
    assert_int_equal(quorum.with_vote, 5);
    assert_int_equal(settle(voices, 3, 0).largest_k, 0);
    assert_int_equal(settle(voices, 3, 0).votes, 1);
}

static void test_one_share_that_says_two_ks_speaks_for_both(void **state)
{
    const struct store_voice voices[] = {voice_of(5, 4), voice_of(5, 2), voice_of(1, 2)};

    assert_int_equal(settle(voices, 3, 0).required, 2);
    assert_int_equal(settle(voices, 3, 0).votes, 2);
}

static void test_what_is_given_counts(void **state)
{
    const struct store_voice voices[] = {voice_of(0, 3), voice_of(1, 3), headless(), headless()};

    assert_int_equal(settle(voices, 2, 7).required, 7);
    assert_int_equal(settle(voices, 4, 2).required, 2);
    assert_true(settle(voices, 4, 2).given);
    assert_int_equal(settle(voices, 0, 5).required, 5);
}

static void test_k_is_not_known_where_half_of_the_stores_have_no_vote(void **state)
{
    const struct store_voice voices[] = {voice_of(0, 3), voice_of(1, 3), headless(), headless(),
                                         without_files(true)};

    assert_int_equal(settle(voices, 3, 0).required, 3);
    assert_int_equal(settle(voices, 4, 0).required, 0);
    assert_int_equal(settle(voices, 5, 0).required, 0);
    assert_int_equal(settle(voices + 2, 2, 0).required, 0);
    assert_int_equal(settle(voices + 2, 2, 0).votes, 0);
}

static void test_stores_without_files_change_nothing(void **state)
{
    const struct store_voice voices[] = {without_files(false), voice_of(0, 1), without_files(true),
                                         without_files(true), without_files(false)};
    const struct quorum quorum = settle(voices, 5, 0);

    assert_int_equal(quorum.required, 1);
    assert_int_equal(quorum.with_names, 3);
    assert_int_equal(quorum.with_files, 1);
    assert_int_equal(quorum.found, 1);
    assert_int_equal(quorum_voter(&quorum, &voices[2], 2), NO_VOTE);
}

static void test_without_files_more_than_half_of_the_stores(void **state)
{
    struct store_voice voices[STORES_MAX];

    for (size_t i = 0; i < STORES_MAX; i++)
        voices[i] = without_files(true);
    for (unsigned count = 1; count < STORES_MAX; count++) {
        const struct quorum quorum = settle(voices, count, 0);
        assert_true(quorum.no_files);
        assert_int_equal(quorum.votes, count);
        assert_int_equal(quorum.required, count / 2 + 1);
        assert_int_equal(settle(voices, count, 1).required, 1);
    }
    voices[0].has_names = false;
    assert_int_equal(settle(voices, 2, 0).required, 1);
}

static void test_without_files_each_store_is_a_vote(void **state)
{
    struct store_voice voices[] = {without_files(true), without_files(true), without_files(false)};
    const struct quorum quorum = settle(voices, 3, 0);

    assert_int_equal(quorum_voter(&quorum, &voices[0], 0), VOTER_NAMELESS);
    assert_int_equal(quorum_voter(&quorum, &voices[1], 1), VOTER_NAMELESS + 1);
    assert_int_equal(quorum_voter(&quorum, &voices[2], 2), NO_VOTE);
}

static void test_a_vote_is_a_share(void **state)
{
    const struct store_voice voices[] = {voice_of(7, 1), voice_of(7, 1), voice_of(255, 1),
                                         headless()};
    const struct quorum quorum = settle(voices, 4, 0);

    assert_int_equal(quorum_voter(&quorum, &voices[0], 0), 7);
    assert_int_equal(quorum_voter(&quorum, &voices[1], 1), 7);
    assert_int_equal(quorum_voter(&quorum, &voices[2], 2), 255);
    assert_int_equal(quorum_voter(&quorum, &voices[3], 3), NO_VOTE);
}

static void test_largest_k_that_two_shares_say(void **state)
{
    const struct store_voice voices[] = {voice_of(0, 2),   voice_of(1, 2),   voice_of(2, 2),
                                         voice_of(3, 255), voice_of(4, 255), voice_of(5, 254)};

    assert_int_equal(settle(voices, 6, 0).required, 2);
    assert_int_equal(settle(voices, 6, 0).largest_k, 255);
    assert_int_equal(settle(voices, 4, 0).largest_k, 2);
    assert_int_equal(settle(voices, 6, 1).largest_k, 255);
}

static void test_a_version_needs_its_own_k_at_least(void **state)
{
    const struct quorum three = {.required = 3}, one = {.required = 1};

    assert_int_equal(quorum_need(&three, 2), 3);
    assert_int_equal(quorum_need(&three, 3), 3);
    assert_int_equal(quorum_need(&three, 4), 4);
    assert_int_equal(quorum_need(&one, 4), 4);
}

/* The rule word by word. */
static unsigned model_required(const struct store_voice voices[], size_t count)
{
    unsigned most = 0, best = 0;

    for (unsigned k = 1; k <= 4; k++) {
        unsigned shares = 0;
        for (int share = 0; share < 4; share++) {
            bool said = false;
            for (size_t i = 0; i < count; i++)
                said |= voices[i].share == share && voices[i].required == k;
            shares += said;
        }
        if (shares > 0 && shares >= most) {
            most = shares;
            best = k;
        }
    }
    return best;
}

static void test_any_stores(void **state)
{
    struct store_voice voices[STORES_MAX];

    for (unsigned run = 0; run < 3000; run++) {
        size_t count = random_between(1, STORES_MAX), with_vote = 0;
        for (size_t i = 0; i < count; i++) {
            voices[i] = random_below(4) == 0
                            ? headless()
                            : voice_of((int)random_below(4), (unsigned)random_between(1, 4));
            with_vote += voices[i].share != NO_VOTE;
        }
        unsigned expected = 2 * with_vote > count ? model_required(voices, count) : 0;
        assert_int_equal(settle(voices, count, 0).required, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_k_is_what_most_shares_say),
        cmocka_unit_test(test_of_two_with_as_many_the_larger_k),
        cmocka_unit_test(test_a_share_that_is_there_twice_is_one_vote),
        cmocka_unit_test(test_one_share_that_says_two_ks_speaks_for_both),
        cmocka_unit_test(test_what_is_given_counts),
        cmocka_unit_test(test_k_is_not_known_where_half_of_the_stores_have_no_vote),
        cmocka_unit_test(test_stores_without_files_change_nothing),
        cmocka_unit_test(test_without_files_more_than_half_of_the_stores),
        cmocka_unit_test(test_without_files_each_store_is_a_vote),
        cmocka_unit_test(test_a_vote_is_a_share),
        cmocka_unit_test(test_largest_k_that_two_shares_say),
        cmocka_unit_test(test_a_version_needs_its_own_k_at_least),
        cmocka_unit_test(test_any_stores),
        cmocka_unit_test(test_stores_that_show_one_mode_for_everything),
    };

    return cmocka_run_group_tests(tests, support_set_up, NULL);
}
