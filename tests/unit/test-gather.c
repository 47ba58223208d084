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

    for (size_t i = 0; i < stores->gather.count; i++)
        stores->gather.begun |= stores->copies[i].trusted;
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

/* The places of the largest group, as a bit set. */
static int find_result(const struct stores *stores, bool twins, unsigned *ret_set)
{
    size_t places[COPIES_MAX], place;

    *ret_set = 0;
    int r = gather_find(&stores->gather, &place);
    if (r < 0)
        return r;
    assert_int_equal(stores->copies[place].block, BLOCK_GOOD);
    size_t count = gather_list(&stores->gather, place, twins, places);
    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || places[i] > places[i - 1]);
        *ret_set |= 1U << places[i];
    }
    return 0;
}

static void assert_finds(const struct stores *stores, unsigned expected)
{
    unsigned set;

    assert_int_equal(find_result(stores, false, &set), 0);
    assert_int_equal(set, expected);
}

static void assert_finds_nothing(const struct stores *stores)
{
    unsigned set;

    assert_int_equal(find_result(stores, false, &set), -ENODATA);
}

static void test_first_k(void **state)
{
    struct stores stores;

    init(&stores, 3);
    add_all(&stores, "hhhhh");
    assert_int_equal(step(&stores), 7);
    assert_int_equal(step(&stores), 0);
    assert_finds(&stores, 7);
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
    assert_finds(&stores, 2 | 16 | 32);
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
    assert_finds_nothing(&stores);
    answer(&stores, 1);
    assert_int_equal(ask(&stores, places, &count), 0);
    assert_finds(&stores, 6);
}

static void test_more_is_coming_than_is_missing(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add_all(&stores, "hhhhhh");
    for (size_t i = 1; i < 4; i++)
        stores.copies[i].block = BLOCK_ASKED;
    assert_int_equal(step(&stores), 0);
    answer(&stores, 3);
    assert_int_equal(step(&stores), 0);
}

static void test_too_few(void **state)
{
    struct stores stores;

    init(&stores, 3);
    add_all(&stores, "hhhh");
    stores.content[1] = stores.content[3] = NOTHING;
    run(&stores);
    assert_finds_nothing(&stores);
}

static void test_nothing_at_all(void **state)
{
    struct stores stores;

    init(&stores, 1);
    assert_int_equal(step(&stores), 0);
    assert_finds_nothing(&stores);
}

static void test_useless_copies_are_not_asked(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add_all(&stores, "hhh");
    stores.copies[0].role = COPY_USELESS;
    run(&stores);
    assert_int_equal(stores.asked[0], 0);
    assert_finds(&stores, 6);
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
    assert_finds(&stores, 6);
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
    assert_finds(&stores, 1 | 4);
}

static void test_second_copy_where_the_first_is_bad(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add(&stores, 4, NOTHING);
    add(&stores, 4, HONEST);
    add(&stores, 5, HONEST);
    run(&stores);
    assert_finds(&stores, 2 | 4);
}

static void test_two_copies_are_one_share(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add(&stores, 4, HONEST);
    add(&stores, 4, HONEST);
    run(&stores);
    assert_finds_nothing(&stores);
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
    assert_finds(&stores, 1 | 4);
}

static void test_helpers(void **state)
{
    struct stores stores;

    init(&stores, 3);
    add_all(&stores, "hshh");
    for (size_t i = 1; i < 4; i++)
        stores.copies[i].role = COPY_HELPER;
    run(&stores);
    assert_finds(&stores, 1 | 4 | 8);
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
    assert_finds(&stores, 4 | 8);

    init(&stores, 2);
    add_all(&stores, "ss");
    stores.copies[0].role = stores.copies[1].role = COPY_HELPER;
    run(&stores);
    assert_finds_nothing(&stores);
}

static void test_nameless_copies_anchor(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add_all(&stores, "hh");
    stores.copies[0].role = COPY_NAMELESS;
    stores.copies[1].role = COPY_HELPER;
    run(&stores);
    assert_finds(&stores, 3);
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
        assert_int_equal(find_result(&stores, false, &set), 0);
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
    assert_finds(&stores, 2 | 4);
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
    assert_finds(&stores, 2 | 8 | 16);
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

/* Shares that the file did not come from may be of another content: the others are heard. */
static void test_untrusted_shares_are_not_enough(void **state)
{
    struct stores stores;

    init_trusted(&stores, "hhsssh", 2);
    assert_int_equal(step(&stores), 7);
    assert_int_equal(step(&stores), 8);
    assert_int_equal(step(&stores), 16);
    assert_finds(&stores, 4 | 8 | 16);
    assert_int_equal(step(&stores), 32);
    assert_int_equal(step(&stores), 0);
    assert_finds(&stores, 1 | 2 | 32);
}

/* While answers are to come nothing more is asked: they may be of the trusted. */
static void test_untrusted_shares_while_answers_are_coming(void **state)
{
    struct stores stores;

    init_trusted(&stores, "sssshhhh", 0);
    for (size_t i = 4; i < 8; i++)
        stores.copies[i].trusted = true;
    for (size_t i = 0; i < 5; i++)
        stores.copies[i].block = BLOCK_ASKED;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(step(&stores), 0);
        answer(&stores, i);
    }
    assert_finds(&stores, 15);
    assert_int_equal(step(&stores), 0);
    answer(&stores, 4);
    assert_int_equal(step(&stores), 32 | 64 | 128);
    assert_int_equal(step(&stores), 0);
}

/* A share of unknown index, or a bad one: whatever is on the way is waited for. */
static void test_untrusted_shares_while_any_answer_is_coming(void **state)
{
    static const uint8_t contents[] = {NOTHING, STALE, HONEST};

    for (size_t i = 0; i < COUNT_OF(contents); i++) {
        struct stores stores;
        init_trusted(&stores, "sss.h", 0);
        stores.copies[4].trusted = true;
        stores.copies[3].role = COPY_NAMELESS;
        stores.copies[3].index = UNKNOWN;
        stores.content[3] = contents[i];
        for (size_t place = 0; place < 4; place++)
            stores.copies[place].block = BLOCK_ASKED;
        for (size_t place = 0; place < 3; place++)
            answer(&stores, place);
        assert_int_equal(step(&stores), 0);
        answer(&stores, 3);
        assert_int_equal(step(&stores), 16);
        assert_int_equal(step(&stores), 0);
    }
}

/* One that is trusted is enough, whatever else is on the way. */
static void test_trusted_share_while_answers_are_coming(void **state)
{
    struct stores stores;

    init_trusted(&stores, "hhhss", 1);
    for (size_t i = 0; i < 4; i++)
        stores.copies[i].block = BLOCK_ASKED;
    for (size_t i = 3; i-- > 0;) {
        answer(&stores, i);
        assert_int_equal(step(&stores), 0);
    }
    assert_int_equal(stores.asked[4], 0);
    assert_finds(&stores, 7);
}

static void test_untrusted_shares_where_no_more_are_left(void **state)
{
    struct stores stores;

    init_trusted(&stores, "hhsss", 2);
    run(&stores);
    assert_finds(&stores, 4 | 8 | 16);
    assert_false(gather_agrees(&stores.gather));
}

/* Until one of the trusted agrees, k at a time. */
static void test_one_trusted_share_is_enough(void **state)
{
    struct stores stores;

    init_trusted(&stores, "hhhhhhhhhhh", 0);
    stores.copies[6].trusted = true;
    assert_int_equal(step(&stores), 7);
    assert_int_equal(step(&stores), 8 | 16 | 32);
    assert_int_equal(step(&stores), 64 | 128 | 256);
    assert_int_equal(step(&stores), 0);

    init_trusted(&stores, "hhhhh", 0);
    stores.copies[2].trusted = true;
    assert_int_equal(step(&stores), 7);
    assert_int_equal(step(&stores), 0);
}

/* All are asked where the file has begun, and no copy has agreed with it until now. */
static void test_none_is_trusted_any_more(void **state)
{
    struct stores stores;

    init_trusted(&stores, "hhhhhhh", 0);
    stores.gather.begun = true;
    run(&stores);
    for (size_t i = 0; i < stores.gather.count; i++)
        assert_int_equal(stores.asked[i], 1);
}

/* Also where nothing can come of the trusted ones. */
static void test_trusted_copies_without_a_block(void **state)
{
    struct stores stores;

    init_trusted(&stores, "hhhhhhhh", 0);
    stores.copies[7].trusted = true;
    stores.copies[7].block = BLOCK_BAD;
    run(&stores);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(stores.asked[i], 1);
    assert_finds(&stores, 127);
}

static void test_agrees(void **state)
{
    static const struct {
        const char *contents;
        bool agrees;
    } cases[] = {{"", true},       {"h", true},    {"hhhhh", true}, {"hs", false}, {"sh", false},
                 {"hhhhs", false}, {"shh", false}, {"hsh", false},  {"hfs", false}};

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct stores stores;
        init(&stores, 3);
        add_all(&stores, cases[i].contents);
        run_rest(&stores);
        assert_int_equal(gather_agrees(&stores.gather), cases[i].agrees);
    }
}

static void test_nameless_copies_agree_or_not(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add_all(&stores, "hhs");
    stores.copies[2].role = COPY_NAMELESS;
    assert_true(gather_agrees(&stores.gather));
    run(&stores);
    assert_true(gather_agrees(&stores.gather));
    run_rest(&stores);
    assert_false(gather_agrees(&stores.gather));
}

/* Neither helpers nor bad blocks contradict anyone. */
static void test_others_do_not_contradict(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add_all(&stores, "shfh");
    stores.content[1] = NOTHING;
    stores.copies[0].role = stores.copies[2].role = COPY_HELPER;
    run_rest(&stores);
    assert_true(gather_agrees(&stores.gather));
}

static void assert_counts(const struct stores *stores, uint8_t content, unsigned count,
                          unsigned trusted)
{
    uint8_t digest[HASH_SIZE];

    memset(digest, content, sizeof digest);
    assert_int_equal(gather_count(&stores->gather, digest), count);
    assert_int_equal(gather_count_trusted(&stores->gather, digest), trusted);
}

static void test_counts(void **state)
{
    struct stores stores;

    init_trusted(&stores, "hhshss", 3);
    add(&stores, 0, HONEST)->trusted = true; /* a twin of the first */
    add(&stores, 3, HONEST)->trusted = true; /* a twin of one that is not trusted */
    stores.copies[1].role = COPY_NAMELESS;
    assert_counts(&stores, HONEST, 0, 0);
    run_rest(&stores);
    assert_counts(&stores, HONEST, 3, 3);
    assert_counts(&stores, STALE, 3, 1);
    assert_counts(&stores, FORGED, 0, 0);
}

static void test_counts_of_helpers(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add_all(&stores, "hhsss");
    for (size_t i = 1; i < 5; i++)
        stores.copies[i].role = COPY_HELPER;
    run_rest(&stores);
    assert_counts(&stores, HONEST, 2, 0);
    assert_counts(&stores, STALE, 0, 0);
}

static void test_largest_of_two(void **state)
{
    struct stores stores;

    init_trusted(&stores, "hhhssss", 0);
    run(&stores);
    run_rest(&stores);
    assert_finds(&stores, 8 | 16 | 32 | 64);
}

/* It is the choice of others which of them it is to be. */
static void test_equally_large_groups(void **state)
{
    static const char *const contents[] = {"hhhsss", "hhhhssssfff", "fffhhhhssss"};

    for (size_t i = 0; i < COUNT_OF(contents); i++) {
        struct stores stores;
        unsigned set;
        init_trusted(&stores, contents[i], 0);
        run(&stores);
        run_rest(&stores);
        assert_int_equal(find_result(&stores, false, &set), 0);
        assert_int_equal(__builtin_popcount(set), i == 0 ? 3 : 4);
        assert_false(gather_agrees(&stores.gather));
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
    assert_finds(&stores, 1 | 8);
    assert_int_equal(find_result(&stores, true, &set), 0);
    assert_int_equal(set, 1 | 2 | 8);
}

/* Whichever block of the group it starts from. */
static void test_list(void **state)
{
    static const char contents[] = "hshfshf";

    struct stores stores;
    size_t places[COPIES_MAX];

    init(&stores, 1);
    add_all(&stores, contents);
    run_rest(&stores);
    for (size_t i = 0; contents[i]; i++) {
        size_t expected = 0;
        size_t count = gather_list(&stores.gather, i, false, places);
        for (size_t place = 0; contents[place]; place++) {
            if (contents[place] == contents[i])
                assert_int_equal(places[expected++], place);
        }
        assert_int_equal(count, expected);
    }
}

static void test_error_writes_nothing(void **state)
{
    struct stores stores;
    size_t place = 77;

    init(&stores, 1);
    assert_int_equal(gather_find(&stores.gather, &place), -ENODATA);
    assert_int_equal(place, 77);
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
        int r = find_result(&stores, false, &set);
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
        assert_int_equal(find_result(&stores, false, &set), 0);
        for (size_t i = 0; i < count; i++)
            assert_true(!(set & 1U << i) || stores.content[i] == HONEST);
    }
}

/* The places that are asked and not answered yet. */
static size_t list_coming(const struct stores *stores, size_t places[])
{
    size_t count = 0;

    for (size_t i = 0; i < stores->gather.count; i++) {
        if (stores->copies[i].block == BLOCK_ASKED)
            places[count++] = i;
    }
    return count;
}

/* As run, but asks after each answer, which come in any order. */
static void run_one_by_one(struct stores *stores)
{
    size_t places[COPIES_MAX], count, coming, place;

    for (;;) {
        coming = list_coming(stores, places);
        bool complete = gather_find(&stores->gather, &place) == 0;
        ask(stores, places, &count);
        /* Never more than are missing; and where k are at hand, nothing before all have come. */
        assert_true(count == 0 || coming + count <= stores->gather.required);
        assert_true(count == 0 || coming == 0 || !complete);
        coming = list_coming(stores, places);
        if (coming == 0)
            return;
        answer(stores, places[random_below(coming)]);
    }
}

/* Where some are trusted: all are asked, or one of them is in the group that is found. */
static void check_random_trust(void run_all(struct stores *stores))
{
    static const uint8_t contents[] = {NOTHING, HONEST, HONEST, STALE};
    struct stores stores;
    unsigned set, count = (unsigned)random_between(1, COPIES_MAX), asked = 0;
    bool is_trusted = false, has_trusted = false;

    init(&stores, (unsigned)random_between(1, 5));
    for (uint8_t i = 0; i < count; i++) {
        struct gather_copy *copy = add(&stores, i, contents[random_below(4)]);
        copy->trusted = random_below(6) == 0;
        has_trusted |= copy->trusted;
    }
    run_all(&stores);
    int r = find_result(&stores, false, &set);
    for (size_t i = 0; i < count; i++) {
        is_trusted |= stores.copies[i].trusted && set >> i & 1;
        asked += stores.asked[i];
    }
    assert_true(asked == count || (r == 0 && is_trusted == has_trusted));
}

static void test_random_trust(void **state)
{
    for (unsigned round = 0; round < 20000; round++)
        check_random_trust(run);
}

static void test_random_order_of_answers(void **state)
{
    for (unsigned round = 0; round < 20000; round++)
        check_random_trust(run_one_by_one);
}

/* One that is late is raced by another copy, and whichever comes first counts. */
static void test_late(void **state)
{
    struct stores stores;
    size_t places[COPIES_MAX], count;

    init(&stores, 2);
    add_all(&stores, "hhhh");
    assert_int_equal(ask(&stores, places, &count), 0x3);
    answer(&stores, 1);
    assert_int_equal(ask(&stores, places, &count), 0);
    assert_true(gather_waits(&stores.gather));
    gather_late(&stores.gather, 0);
    assert_int_equal(ask(&stores, places, &count), 0x4);
    assert_int_equal(ask(&stores, places, &count), 0);
    answer(&stores, 2);
    assert_false(gather_waits(&stores.gather));
    assert_finds(&stores, 0x6);
}

/* Where there are no others, what is late is waited for. */
static void test_late_without_others(void **state)
{
    struct stores stores;
    size_t places[COPIES_MAX], count;

    init(&stores, 2);
    add_all(&stores, "hh");
    assert_int_equal(ask(&stores, places, &count), 0x3);
    gather_late(&stores.gather, 0);
    gather_late(&stores.gather, 1);
    assert_int_equal(ask(&stores, places, &count), 0);
    assert_true(gather_waits(&stores.gather));
    gather_bad(&stores.gather, 0);
    gather_bad(&stores.gather, 1);
    assert_false(gather_waits(&stores.gather));
    assert_finds_nothing(&stores);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_k),
        cmocka_unit_test(test_as_many_as_are_missing),
        cmocka_unit_test(test_one_by_one),
        cmocka_unit_test(test_more_is_coming_than_is_missing),
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
        cmocka_unit_test(test_untrusted_shares_are_not_enough),
        cmocka_unit_test(test_untrusted_shares_while_answers_are_coming),
        cmocka_unit_test(test_untrusted_shares_while_any_answer_is_coming),
        cmocka_unit_test(test_trusted_share_while_answers_are_coming),
        cmocka_unit_test(test_untrusted_shares_where_no_more_are_left),
        cmocka_unit_test(test_one_trusted_share_is_enough),
        cmocka_unit_test(test_none_is_trusted_any_more),
        cmocka_unit_test(test_trusted_copies_without_a_block),
        cmocka_unit_test(test_agrees),
        cmocka_unit_test(test_nameless_copies_agree_or_not),
        cmocka_unit_test(test_others_do_not_contradict),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_counts_of_helpers),
        cmocka_unit_test(test_largest_of_two),
        cmocka_unit_test(test_equally_large_groups),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_twins),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_error_writes_nothing),
        cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_random_lies),
        cmocka_unit_test(test_random_trust),
        cmocka_unit_test(test_random_order_of_answers),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_late_without_others),
    };

    return cmocka_run_group_tests_name("gather", tests, support_set_up, NULL);
}
