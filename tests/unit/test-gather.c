/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "choice/gather.h"

#include <errno.h>
#include <string.h>

enum {
    COPIES_MAX = 12,
    UNKNOWN = GATHER_INDEX_UNKNOWN,
};

/* What a copy truly has for the stripe: the digest of a content, or no good block. */
enum { NOTHING = 0, HONEST = 'h', STALE = 's', FORGED = 'f' };

/* The copies as gather sees them, and the truth that reading them brings to light. */
struct stores {
    struct gather gather;
    struct gather_copy copies[COPIES_MAX];
    uint8_t content[COPIES_MAX], index[COPIES_MAX];
    unsigned asked[COPIES_MAX];
};

static void init(struct stores *stores, unsigned required)
{
    *stores = (struct stores){.gather = {.required = required, .copies = stores->copies}};
}

/* Adds a copy of a share, as a member of the version; returns it for what differs. */
static struct gather_copy *add(struct stores *stores, uint8_t index, uint8_t content)
{
    size_t place = stores->gather.count++;

    stores->index[place] = index;
    stores->content[place] = content;
    stores->copies[place] = (struct gather_copy){.role = COPY_MEMBER, .index = index};
    return &stores->copies[place];
}

/* Adds members 0, 1, ... with these contents. */
static void add_all(struct stores *stores, const char *contents)
{
    for (uint8_t i = 0; contents[i]; i++)
        add(stores, i, (uint8_t)contents[i]);
}

static void answer(struct stores *stores, size_t place)
{
    uint8_t digest[HASH_SIZE];

    assert_int_equal(stores->copies[place].block, BLOCK_ASKED);
    memset(digest, stores->content[place], sizeof digest);
    if (stores->content[place] == NOTHING)
        gather_bad(&stores->gather, place);
    else
        gather_good(&stores->gather, place, stores->index[place], digest);
}

/* One step: the copies asked for, as a bit set; they are not answered yet. */
static unsigned ask(struct stores *stores, size_t places[], size_t *ret_count)
{
    unsigned set = 0;

    *ret_count = gather_next(&stores->gather, places);
    assert_true(*ret_count <= stores->gather.required);
    for (size_t i = 0; i < *ret_count; i++) {
        set |= 1U << places[i];
        stores->asked[places[i]]++;
        assert_true(i == 0 || places[i] > places[i - 1]);
    }
    return set;
}

static unsigned step(struct stores *stores)
{
    size_t places[COPIES_MAX], count;
    unsigned set = ask(stores, places, &count);

    for (size_t i = 0; i < count; i++)
        answer(stores, places[i]);
    return set;
}

static void run(struct stores *stores)
{
    unsigned steps = 0;

    while (step(stores) > 0)
        assert_true(++steps <= COPIES_MAX);
}

static int select_result(const struct stores *stores, bool twins, unsigned *ret_set)
{
    size_t places[COPIES_MAX], count;

    *ret_set = 0;
    int r = gather_select(&stores->gather, twins, places, &count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        assert_true(i == 0 || places[i] > places[i - 1]);
        *ret_set |= 1U << places[i];
    }
    return r;
}

static void assert_selects(const struct stores *stores, unsigned expected)
{
    unsigned set;

    assert_int_equal(select_result(stores, false, &set), 0);
    assert_int_equal(set, expected);
}

static void assert_refuses(const struct stores *stores, int error)
{
    unsigned set;

    assert_int_equal(select_result(stores, false, &set), error);
}

static void test_first_k(void **state)
{
    struct stores stores;

    init(&stores, 3);
    add_all(&stores, "hhhhh");
    assert_int_equal(step(&stores), 7);
    assert_int_equal(step(&stores), 0);
    assert_selects(&stores, 7);
}

static void test_as_many_as_are_missing(void **state)
{
    struct stores stores;

    init(&stores, 3);
    add_all(&stores, "hhhhhh");
    stores.content[0] = stores.content[2] = stores.content[3] = NOTHING;
    assert_int_equal(step(&stores), 7);
    assert_int_equal(step(&stores), 8 | 16);
    assert_int_equal(step(&stores), 32);
    assert_int_equal(step(&stores), 0);
    assert_selects(&stores, 2 | 16 | 32);
}

/* While answers are to come nothing more is asked; each bad one makes room for one more. */
static void test_one_by_one(void **state)
{
    struct stores stores;
    size_t places[COPIES_MAX], count;

    init(&stores, 2);
    add_all(&stores, "hhhh");
    stores.content[0] = NOTHING;
    assert_int_equal(ask(&stores, places, &count), 3);
    assert_int_equal(ask(&stores, places, &count), 0);
    answer(&stores, 0);
    assert_int_equal(ask(&stores, places, &count), 4);
    answer(&stores, 2);
    assert_int_equal(ask(&stores, places, &count), 0);
    assert_refuses(&stores, -ENODATA);
    answer(&stores, 1);
    assert_int_equal(ask(&stores, places, &count), 0);
    assert_selects(&stores, 6);
}

static void test_too_few(void **state)
{
    struct stores stores;

    init(&stores, 3);
    add_all(&stores, "hhhh");
    stores.content[1] = stores.content[3] = NOTHING;
    run(&stores);
    assert_refuses(&stores, -ENODATA);
}

static void test_nothing_at_all(void **state)
{
    struct stores stores;

    init(&stores, 1);
    assert_int_equal(step(&stores), 0);
    assert_refuses(&stores, -ENODATA);
}

static void test_useless_copies_are_not_asked(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add_all(&stores, "hhh");
    stores.copies[0].role = COPY_USELESS;
    run(&stores);
    assert_int_equal(stores.asked[0], 0);
    assert_selects(&stores, 6);
}

/* What is known to be bad from the start is not asked, and what is at hand counts. */
static void test_known_blocks(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add_all(&stores, "hhhh");
    stores.copies[0].block = BLOCK_BAD;
    stores.copies[1].block = BLOCK_ASKED;
    answer(&stores, 1);
    assert_int_equal(step(&stores), 4);
    assert_selects(&stores, 6);
}

static void test_second_copy_of_a_share(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add(&stores, 4, HONEST);
    add(&stores, 4, HONEST);
    add(&stores, 5, HONEST);
    assert_int_equal(step(&stores), 1 | 4);
    assert_int_equal(step(&stores), 0);
    assert_selects(&stores, 1 | 4);
}

static void test_second_copy_where_the_first_is_bad(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add(&stores, 4, NOTHING);
    add(&stores, 4, HONEST);
    add(&stores, 5, HONEST);
    run(&stores);
    assert_selects(&stores, 2 | 4);
}

static void test_two_copies_are_one_share(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add(&stores, 4, HONEST);
    add(&stores, 4, HONEST);
    run(&stores);
    assert_refuses(&stores, -ENODATA);
}

/* Copies of unknown index may be any shares; when they turn out the same, more are asked. */
static void test_unknown_index(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add(&stores, 7, HONEST)->index = UNKNOWN;
    add(&stores, 7, HONEST)->index = UNKNOWN;
    add(&stores, 8, HONEST);
    stores.copies[0].role = stores.copies[1].role = COPY_NAMELESS;
    assert_int_equal(step(&stores), 3);
    assert_int_equal(stores.copies[0].index, 7);
    assert_int_equal(step(&stores), 4);
    assert_selects(&stores, 1 | 4);
}

static void test_helpers(void **state)
{
    struct stores stores;

    init(&stores, 3);
    add_all(&stores, "hshh");
    for (size_t i = 1; i < 4; i++)
        stores.copies[i].role = COPY_HELPER;
    run(&stores);
    assert_selects(&stores, 1 | 4 | 8);
}

/* Another version's shares alone are that version, however many they are. */
static void test_helpers_alone(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add_all(&stores, "sshh");
    for (size_t i = 0; i < 4; i++)
        stores.copies[i].role = i < 2 ? COPY_HELPER : COPY_MEMBER;
    run(&stores);
    assert_selects(&stores, 4 | 8);

    init(&stores, 2);
    add_all(&stores, "ss");
    stores.copies[0].role = stores.copies[1].role = COPY_HELPER;
    run(&stores);
    assert_refuses(&stores, -ENODATA);
}

static void test_nameless_copies_anchor(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add_all(&stores, "hh");
    stores.copies[0].role = COPY_NAMELESS;
    stores.copies[1].role = COPY_HELPER;
    run(&stores);
    assert_selects(&stores, 3);
}

/* Lies in front, with digests of their own: the honest ones are found behind. */
static void test_forged_digests(void **state)
{
    static const char *const contents[] = {"fhhh", "hfhh", "hhfh", "hhhf", "ffhhh", "fghhh"};

    for (size_t i = 0; i < COUNT_OF(contents); i++) {
        struct stores stores;
        init(&stores, 3);
        add_all(&stores, contents[i]);
        run(&stores);
        unsigned set, count = 0;
        assert_int_equal(select_result(&stores, false, &set), 0);
        for (size_t place = 0; place < stores.gather.count; place++) {
            assert_true(!(set & 1U << place) || stores.content[place] == HONEST);
            count += set >> place & 1;
        }
        assert_int_equal(count, 3);
    }
}

/* The lie has the index of an honest share, and comes first. */
static void test_forged_copy_of_a_share(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add(&stores, 0, FORGED);
    add(&stores, 0, HONEST);
    add(&stores, 1, HONEST);
    run(&stores);
    assert_selects(&stores, 2 | 4);
}

static void test_forged_copies_of_shares(void **state)
{
    struct stores stores;

    init(&stores, 3);
    for (uint8_t i = 0; i < 2; i++) {
        add(&stores, i, FORGED);
        add(&stores, i, HONEST);
    }
    add(&stores, 2, HONEST);
    run(&stores);
    assert_selects(&stores, 2 | 8 | 16);
}

/* Reads all that is left. */
static void run_rest(struct stores *stores)
{
    size_t places[COPIES_MAX];
    size_t count = gather_rest(&stores->gather, places, COPIES_MAX);

    for (size_t i = 0; i < count; i++)
        answer(stores, places[i]);
}

/* Members 0, 1, ... with these contents, of which the first TRUSTED are trusted; k = 3. */
static void init_trusted(struct stores *stores, const char *contents, size_t trusted)
{
    init(stores, 3);
    add_all(stores, contents);
    for (size_t i = 0; i < trusted; i++)
        stores->copies[i].trusted = true;
}

static void test_contradiction(void **state)
{
    struct stores stores;

    init_trusted(&stores, "hhsss", 2);
    run(&stores);
    assert_refuses(&stores, -EBADMSG);
}

/* One alone may be a block from another place. */
static void test_one_alone_does_not_contradict(void **state)
{
    struct stores stores;

    init_trusted(&stores, "hsss", 1);
    run(&stores);
    assert_selects(&stores, 2 | 4 | 8);
}

/* As many trusted copies for it as against it: it is taken. */
static void test_no_majority_against(void **state)
{
    struct stores stores;

    init_trusted(&stores, "hhsss", 4);
    run(&stores);
    assert_selects(&stores, 4 | 8 | 16);
}

static void test_trusted_copies_that_differ_do_not_contradict(void **state)
{
    struct stores stores;

    init_trusted(&stores, "hfsss", 2);
    run(&stores);
    assert_selects(&stores, 4 | 8 | 16);
}

static void test_helpers_do_not_contradict(void **state)
{
    struct stores stores;

    init_trusted(&stores, "ffhhh", 2);
    stores.copies[0].role = stores.copies[1].role = COPY_HELPER;
    run(&stores);
    assert_selects(&stores, 4 | 8 | 16);
}

/* A group that is contradicted does not hide the one that contradicts it. */
static void test_contradicted_group_hides_no_other(void **state)
{
    struct stores stores;

    init_trusted(&stores, "hhsssh", 2);
    run(&stores);
    run_rest(&stores);
    assert_selects(&stores, 1 | 2 | 32);
}

static void test_larger_contradicted_group(void **state)
{
    struct stores stores;

    init_trusted(&stores, "hhhssss", 2);
    run(&stores);
    assert_selects(&stores, 1 | 2 | 4);
    run_rest(&stores);
    assert_selects(&stores, 1 | 2 | 4);
}

static void test_largest_of_two(void **state)
{
    struct stores stores;

    init_trusted(&stores, "hhhssss", 0);
    run(&stores);
    run_rest(&stores);
    assert_selects(&stores, 8 | 16 | 32 | 64);
}

static void test_equally_large_groups(void **state)
{
    static const char *const contents[] = {"hhhsss", "hhhsssffff", "hhhhssssfff", "fffhhhhssss"};
    static const int expected[] = {-EBADMSG, 0, -EBADMSG, -EBADMSG};

    for (size_t i = 0; i < COUNT_OF(contents); i++) {
        struct stores stores;
        unsigned set;
        init_trusted(&stores, contents[i], 0);
        run(&stores);
        run_rest(&stores);
        assert_int_equal(select_result(&stores, false, &set), expected[i]);
    }
}

static void test_rest(void **state)
{
    struct stores stores;
    size_t places[COPIES_MAX];

    init(&stores, 2);
    add_all(&stores, "hhhhh");
    add(&stores, 0, HONEST);
    stores.copies[3].role = COPY_USELESS;
    run(&stores);
    assert_int_equal(gather_rest(&stores.gather, places, 1), 1);
    assert_int_equal(places[0], 2);
    assert_int_equal(gather_rest(&stores.gather, places, COPIES_MAX), 2);
    assert_true(places[0] + places[1] == 4 + 5);
    assert_int_equal(gather_rest(&stores.gather, places, COPIES_MAX), 0);
}

static void test_twins(void **state)
{
    struct stores stores;
    unsigned set;

    init(&stores, 2);
    add(&stores, 4, HONEST);
    add(&stores, 4, HONEST);
    add(&stores, 4, FORGED);
    add(&stores, 5, HONEST);
    run(&stores);
    run_rest(&stores);
    assert_selects(&stores, 1 | 8);
    assert_int_equal(select_result(&stores, true, &set), 0);
    assert_int_equal(set, 1 | 2 | 8);
}

static void test_error_writes_nothing(void **state)
{
    struct stores stores;
    size_t places[COPIES_MAX] = {77}, count = 88;

    init(&stores, 1);
    assert_int_equal(gather_select(&stores.gather, false, places, &count), -ENODATA);
    assert_int_equal(places[0], 77);
    assert_int_equal(count, 88);
}

/* Random stores of one content, good blocks and bad ones: found just where k shares have it. */
static void test_random_damage(void **state)
{
    for (unsigned round = 0; round < 20000; round++) {
        struct stores stores;
        bool has[COPIES_MAX] = {false};
        unsigned shares = 0, set;
        init(&stores, (unsigned)random_between(1, 5));
        for (size_t i = random_between(1, COPIES_MAX); i-- > 0;) {
            uint8_t index = (uint8_t)random_below(8), is_good = random_below(3) > 0;
            struct gather_copy *copy = add(&stores, index, is_good ? HONEST : NOTHING);
            if (random_below(4) == 0) {
                copy->role = COPY_NAMELESS;
                copy->index = UNKNOWN;
            }
            shares += is_good && !has[index];
            has[index] |= is_good;
        }
        run(&stores);
        int r = select_result(&stores, false, &set);
        assert_int_equal(r, shares >= stores.gather.required ? 0 : -ENODATA);
        for (size_t i = 0; i < stores.gather.count; i++)
            assert_true(stores.asked[i] <= 1);
    }
}

/* Fewer than k liars among members, and k honest different shares: the honest ones are found. */
static void test_random_lies(void **state)
{
    for (unsigned round = 0; round < 20000; round++) {
        struct stores stores;
        unsigned set;
        init(&stores, (unsigned)random_between(2, 5));
        uint8_t order[COPIES_MAX];
        unsigned liars = (unsigned)random_between(1, stores.gather.required - 1);
        unsigned count = stores.gather.required + liars;
        random_indices(count, count, order);
        for (unsigned i = 0; i < count; i++) {
            bool lies = order[i] >= stores.gather.required;
            add(&stores, lies ? (uint8_t)random_below(count) : order[i], lies ? FORGED : HONEST);
        }
        run(&stores);
        assert_int_equal(select_result(&stores, false, &set), 0);
        for (size_t i = 0; i < count; i++)
            assert_true(!(set & 1U << i) || stores.content[i] == HONEST);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_k),
        cmocka_unit_test(test_as_many_as_are_missing),
        cmocka_unit_test(test_one_by_one),
        cmocka_unit_test(test_too_few),
        cmocka_unit_test(test_nothing_at_all),
        cmocka_unit_test(test_useless_copies_are_not_asked),
        cmocka_unit_test(test_known_blocks),
        cmocka_unit_test(test_second_copy_of_a_share),
        cmocka_unit_test(test_second_copy_where_the_first_is_bad),
        cmocka_unit_test(test_two_copies_are_one_share),
        cmocka_unit_test(test_unknown_index),
        cmocka_unit_test(test_helpers),
        cmocka_unit_test(test_helpers_alone),
        cmocka_unit_test(test_nameless_copies_anchor),
        cmocka_unit_test(test_forged_digests),
        cmocka_unit_test(test_forged_copy_of_a_share),
        cmocka_unit_test(test_forged_copies_of_shares),
        cmocka_unit_test(test_contradiction),
        cmocka_unit_test(test_one_alone_does_not_contradict),
        cmocka_unit_test(test_no_majority_against),
        cmocka_unit_test(test_trusted_copies_that_differ_do_not_contradict),
        cmocka_unit_test(test_helpers_do_not_contradict),
        cmocka_unit_test(test_contradicted_group_hides_no_other),
        cmocka_unit_test(test_larger_contradicted_group),
        cmocka_unit_test(test_largest_of_two),
        cmocka_unit_test(test_equally_large_groups),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_twins),
        cmocka_unit_test(test_error_writes_nothing),
        cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_random_lies),
    };

    return cmocka_run_group_tests_name("gather", tests, support_set_up, NULL);
}
