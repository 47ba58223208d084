/* SPDX-License-Identifier: MIT */
/* Rule 5 of docs/design.md: the blocks of one stripe. */
#include "support.h"

#include "trust/gather.h"

#include <errno.h>
#include <string.h>

enum {
    COPIES_MAX = 12,
    UNKNOWN = GATHER_INDEX_UNKNOWN,
};

/* What a copy truly has for the stripe: the digest of a content, or no good block. */
enum { NOTHING = '-', HONEST = 'h', STALE = 's', FORGED = 'f' };

/* The copies as gather sees them, and the truth that reading them brings to light. */
struct stores {
    struct gather gather;
    struct gather_copy copies[COPIES_MAX];
    uint8_t content[COPIES_MAX], index[COPIES_MAX];
};

static void init(struct stores *stores, unsigned needed)
{
    *stores = (struct stores){.gather = {.needed = needed, .copies = stores->copies}};
}

/* Adds a copy of a share, as a member of the version; returns it for what differs. */
static struct gather_copy *add(struct stores *stores, uint8_t index, uint8_t content)
{
    size_t place = stores->gather.count++;

    stores->index[place] = index;
    stores->content[place] = content;
    stores->copies[place] =
        (struct gather_copy){.role = COPY_MEMBER, .trusted = true, .index = index};
    return &stores->copies[place];
}

/* One whose header is lost: its block says whose it is. */
static struct gather_copy *add_nameless(struct stores *stores, uint8_t index, uint8_t content)
{
    struct gather_copy *copy = add(stores, index, content);

    copy->role = COPY_NAMELESS;
    copy->index = UNKNOWN;
    return copy;
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

    memset(digest, stores->content[place], sizeof digest);
    if (stores->content[place] == NOTHING)
        gather_bad(&stores->gather, place);
    else
        gather_good(&stores->gather, place, stores->index[place], digest);
}

static unsigned as_set(const size_t places[], size_t count)
{
    unsigned set = 0;

    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || places[i] > places[i - 1]);
        set |= 1U << places[i];
    }
    return set;
}

/* The copies asked for, as a bit set; they are not answered yet. */
static unsigned ask(struct stores *stores)
{
    size_t places[COPIES_MAX];
    size_t count = gather_next(&stores->gather, places);

    assert_true(count <= stores->gather.needed);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(stores->copies[places[i]].block, BLOCK_ASKED);
    return as_set(places, count);
}

static unsigned step(struct stores *stores)
{
    unsigned set = ask(stores);

    for (size_t i = 0; i < stores->gather.count; i++) {
        if (set >> i & 1)
            answer(stores, i);
    }
    return set;
}

static void run(struct stores *stores)
{
    unsigned steps = 0;

    while (step(stores) > 0)
        assert_true(++steps <= COPIES_MAX);
}

static void read_rest(struct stores *stores)
{
    size_t places[COPIES_MAX];
    size_t count = gather_rest(&stores->gather, places, COPIES_MAX);

    for (size_t i = 0; i < count; i++)
        answer(stores, places[i]);
}

/* Reads all copies, and asserts what is chosen: a content, or an error. */
static void assert_chosen(struct stores *stores, int content)
{
    size_t place;

    read_rest(stores);
    int r = gather_choose(&stores->gather, &place);
    assert_int_equal(r < 0 ? r : stores->content[place], content);
}

static void test_k_copies_are_read(void **state)
{
    struct stores stores;

    init(&stores, 3);
    add_all(&stores, "hhhhh");
    assert_int_equal(step(&stores), 7);
    assert_int_equal(step(&stores), 0);
    assert_false(gather_waits(&stores.gather));
    assert_false(gather_is_contradicted(&stores.gather));
}

static void test_as_many_more_as_are_missing(void **state)
{
    struct stores stores;

    init(&stores, 3);
    add_all(&stores, "-h-hhh");
    assert_int_equal(step(&stores), 7);
    assert_int_equal(step(&stores), 1U << 3 | 1U << 4);
    assert_int_equal(step(&stores), 0);
    assert_chosen(&stores, HONEST);
}

static void test_no_more_are_asked_for_than_are_missing(void **state)
{
    struct stores stores;

    init(&stores, 3);
    add_all(&stores, "hhhhh");
    assert_int_equal(ask(&stores), 7);
    assert_int_equal(ask(&stores), 0);
    assert_true(gather_waits(&stores.gather));
    answer(&stores, 1);
    assert_int_equal(ask(&stores), 0);
    gather_bad(&stores.gather, 0);
    assert_int_equal(ask(&stores), 1U << 3);
}

static void test_another_is_asked_for_one_that_is_late(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add_all(&stores, "hhh");
    assert_int_equal(ask(&stores), 3);
    answer(&stores, 0);
    gather_late(&stores.gather, 1);
    assert_int_equal(ask(&stores), 4);
    gather_bad(&stores.gather, 2);
    assert_int_equal(ask(&stores), 0);
    assert_true(gather_waits(&stores.gather)); /* the late one may come */
    answer(&stores, 1);
    assert_false(gather_waits(&stores.gather));
}

static void test_a_share_is_read_once_unless_it_has_to_be_twice(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add(&stores, 4, FORGED);
    add(&stores, 4, HONEST);
    add(&stores, 5, HONEST);
    assert_int_equal(step(&stores), 1 | 4);
    assert_int_equal(step(&stores), 2);
    assert_chosen(&stores, HONEST);
}

static void test_useless_copies_are_not_read(void **state)
{
    struct stores stores;
    size_t places[COPIES_MAX];

    init(&stores, 2);
    add(&stores, 0, HONEST)->role = COPY_USELESS;
    add(&stores, 1, HONEST);
    assert_int_equal(step(&stores), 2);
    assert_int_equal(gather_rest(&stores.gather, places, COPIES_MAX), 0);
    assert_chosen(&stores, -ENODATA);
}

static void test_the_rest_is_all_that_is_left_and_no_more_than_there_is_room_for(void **state)
{
    struct stores stores;
    size_t places[COPIES_MAX];

    init(&stores, 1);
    add(&stores, 4, HONEST);
    add(&stores, 4, HONEST);
    add(&stores, 4, HONEST);
    add_nameless(&stores, 4, HONEST);
    assert_int_equal(ask(&stores), 1);
    assert_int_equal(gather_rest(&stores.gather, places, 2), 2);
    assert_int_equal(gather_rest(&stores.gather, places, COPIES_MAX), 1);
    assert_int_equal(gather_rest(&stores.gather, places, COPIES_MAX), 0);
}

static void test_too_few_are_no_stripe(void **state)
{
    struct stores stores;

    init(&stores, 3);
    add_all(&stores, "hhs");
    assert_chosen(&stores, -ENODATA);
    init(&stores, 2);
    add(&stores, 4, HONEST);
    add(&stores, 4, HONEST);
    assert_chosen(&stores, -ENODATA);
}

static void assert_sides(struct stores *stores, const size_t sides[], size_t count)
{
    read_rest(stores);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(gather_side(&stores->gather, i), sides[i]);
}

static void test_the_larger_group_is_the_stripe(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add_all(&stores, "sshhh");
    assert_chosen(&stores, HONEST);
    assert_true(gather_is_contradicted(&stores.gather));
    add(&stores, 4, STALE); /* share 4 in both, which makes three each */
    assert_chosen(&stores, -ENOTUNIQ);
}

static void test_equal_groups_are_a_conflict(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add_all(&stores, "shsh");
    assert_chosen(&stores, -ENOTUNIQ);
    assert_sides(&stores, (const size_t[]){1, 2, 1, 2}, 4);
    add(&stores, 4, FORGED);
    assert_sides(&stores, (const size_t[]){1, 2, 1, 2, 0}, 5);
    gather_bad(&stores.gather, 4);
    add(&stores, 0, HONEST);
    assert_chosen(&stores, HONEST);
    init(&stores, 3);
    add_all(&stores, "shsh");
    assert_chosen(&stores, -ENODATA);
}

static void test_a_group_needs_a_member_or_a_bound_copy(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add(&stores, 0, FORGED)->role = COPY_OTHER;
    add(&stores, 1, FORGED)->role = COPY_OTHER;
    add(&stores, 2, FORGED)->role = COPY_OTHER;
    add_nameless(&stores, 3, FORGED);
    assert_chosen(&stores, -ENODATA);
    assert_false(gather_is_contradicted(&stores.gather));
    add(&stores, 4, HONEST);
    add(&stores, 5, HONEST)->role = COPY_OTHER;
    assert_chosen(&stores, HONEST);
    assert_false(gather_is_contradicted(&stores.gather));
    stores.copies[3].bound = true;
    assert_chosen(&stores, -EBADMSG);
    add_nameless(&stores, 6, FORGED)->bound = true;
    assert_chosen(&stores, FORGED);
    assert_true(gather_is_contradicted(&stores.gather));
}

static void test_only_a_copy_without_a_header_can_be_bound(void **state)
{
    struct stores stores;

    init(&stores, 1);
    add(&stores, 0, FORGED)->role = COPY_OTHER;
    stores.copies[0].bound = true;
    assert_chosen(&stores, -ENODATA);
}

static void test_unbound_copies_that_may_decide(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add_all(&stores, "hhh");
    add_nameless(&stores, 4, STALE);
    read_rest(&stores);
    assert_false(gather_has_unbound(&stores.gather));
    add(&stores, 5, STALE);
    read_rest(&stores);
    assert_true(gather_has_unbound(&stores.gather));
}

static void test_unbound_copies_that_would_be_enough(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add_nameless(&stores, 0, HONEST);
    add(&stores, 1, HONEST)->role = COPY_OTHER;
    assert_false(gather_has_unbound(&stores.gather));
    read_rest(&stores);
    assert_true(gather_has_unbound(&stores.gather));
    stores.copies[0].bound = true;
    assert_false(gather_has_unbound(&stores.gather));
    stores.copies[0].bound = false;
    stores.gather.needed = 3;
    assert_false(gather_has_unbound(&stores.gather));
}

static void test_most_of_the_trusted_copies_have_to_agree(void **state)
{
    struct stores stores;

    init(&stores, 2);
    add_all(&stores, "hhhss");
    assert_chosen(&stores, HONEST);
    for (size_t i = 0; i < 5; i++)
        stores.copies[i].trusted = false;
    assert_chosen(&stores, -EBADMSG);
    stores.copies[4].trusted = true;
    assert_chosen(&stores, -EBADMSG);
    stores.copies[2].trusted = true;
    assert_chosen(&stores, -EBADMSG);
    stores.copies[1].trusted = true;
    assert_chosen(&stores, HONEST);
    gather_bad(&stores.gather, 2);
    add(&stores, 6, HONEST)->trusted = false;
    assert_chosen(&stores, -EBADMSG);
}

static void test_a_block_of_another_time_outvotes_no_members(void **state)
{
    struct stores stores;

    /* A member that was being written in place: its end is older, and two older copies have it. */
    init(&stores, 2);
    add_all(&stores, "hhs");
    add(&stores, 3, STALE)->role = COPY_OTHER;
    add(&stores, 4, STALE)->role = COPY_OTHER;
    assert_chosen(&stores, -EBADMSG);
    add(&stores, 5, STALE);
    add(&stores, 6, STALE);
    assert_chosen(&stores, STALE);
}

static void test_lists(void **state)
{
    struct stores stores;
    size_t places[COPIES_MAX];

    init(&stores, 2);
    add(&stores, 4, HONEST);
    add(&stores, 5, STALE);
    add(&stores, 4, HONEST);
    add(&stores, 255, HONEST);
    add(&stores, 6, NOTHING);
    read_rest(&stores);
    assert_int_equal(as_set(places, gather_list(&stores.gather, 2, false, places)), 1 | 8);
    assert_int_equal(as_set(places, gather_list(&stores.gather, 2, true, places)), 1 | 4 | 8);
    assert_int_equal(as_set(places, gather_list(&stores.gather, 1, true, places)), 2);
}

static void test_all_256_shares(void **state)
{
    static struct gather_copy copies[256];
    static size_t places[256];
    const uint8_t digest[HASH_SIZE] = {HONEST};
    struct gather gather = {.needed = 256, .count = 256, .copies = copies};

    for (int i = 0; i < 256; i++)
        copies[i] = (struct gather_copy){
            .role = COPY_NAMELESS, .bound = true, .trusted = true, .index = UNKNOWN};
    assert_int_equal(gather_next(&gather, places), 256);
    for (size_t i = 0; i < 256; i++)
        gather_good(&gather, i, (uint8_t)i, digest);
    assert_int_equal(gather_choose(&gather, places), 0);
    assert_int_equal(gather_list(&gather, 0, false, places), 256);
}

/* Whatever the order, reading ends with the stripe or with all that there is. */
static void test_reading_ends_where_it_should(void **state)
{
    static const char contents[] = "hhhhs-";
    struct stores stores;
    size_t place;

    for (unsigned run_count = 0; run_count < 5000; run_count++) {
        init(&stores, (unsigned)random_between(1, 5));
        size_t count = random_between(1, COPIES_MAX);
        for (size_t i = 0; i < count; i++) {
            uint8_t content = (uint8_t)contents[random_below(6)];
            struct gather_copy *copy = random_below(4)
                                           ? add(&stores, (uint8_t)random_below(8), content)
                                           : add_nameless(&stores, 9, content);
            copy->bound = random_below(2);
        }
        run(&stores);
        if (gather_choose(&stores.gather, &place) != -ENODATA)
            continue;
        for (size_t i = 0; i < count; i++)
            assert_true(stores.copies[i].block == BLOCK_GOOD ||
                        stores.copies[i].block == BLOCK_BAD);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_k_copies_are_read),
        cmocka_unit_test(test_as_many_more_as_are_missing),
        cmocka_unit_test(test_no_more_are_asked_for_than_are_missing),
        cmocka_unit_test(test_another_is_asked_for_one_that_is_late),
        cmocka_unit_test(test_a_share_is_read_once_unless_it_has_to_be_twice),
        cmocka_unit_test(test_useless_copies_are_not_read),
        cmocka_unit_test(test_the_rest_is_all_that_is_left_and_no_more_than_there_is_room_for),
        cmocka_unit_test(test_too_few_are_no_stripe),
        cmocka_unit_test(test_the_larger_group_is_the_stripe),
        cmocka_unit_test(test_equal_groups_are_a_conflict),
        cmocka_unit_test(test_a_group_needs_a_member_or_a_bound_copy),
        cmocka_unit_test(test_only_a_copy_without_a_header_can_be_bound),
        cmocka_unit_test(test_unbound_copies_that_would_be_enough),
        cmocka_unit_test(test_unbound_copies_that_may_decide),
        cmocka_unit_test(test_most_of_the_trusted_copies_have_to_agree),
        cmocka_unit_test(test_a_block_of_another_time_outvotes_no_members),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_all_256_shares),
        cmocka_unit_test(test_reading_ends_where_it_should),
    };

    return cmocka_run_group_tests(tests, support_set_up, NULL);
}
