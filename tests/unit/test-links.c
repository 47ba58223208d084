/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "engine/links.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { TREES = 5, ABSENT = 0 };

/* What was visited, in words. */
static char visited[1000];

static void note(const char *format, const char *first, const char *path, unsigned voices)
{
    size_t used = strlen(visited);

    snprintf(visited + used, sizeof visited - used, format, first, path, voices);
}

static void visit(void *context, const char *first, const char *path, unsigned voices)
{
    if (!first)
        note("%s%s ", "", path, 0);
    else
        note(voices == UINT_MAX ? "%s<%s " : "%s<%s:%u ", first, path, voices);
}

/* Adds PATH, which has these inode numbers in the trees; says whether it is to be copied at once.
 */
static bool add(struct links *links, const char *path, const unsigned numbers[TREES])
{
    static const char trees[TREES];
    struct source_inode items[TREES];
    struct source_inodes inodes = {.items = items};

    for (size_t i = 0; i < TREES; i++) {
        if (numbers[i] != ABSENT)
            items[inodes.count++] = (struct source_inode){&trees[i], 7, numbers[i], 3};
    }
    int r = links_add(links, &inodes, path);
    assert_true(r >= 0);
    return r > 0;
}

#define ADD(links, path, ...) add(links, path, (const unsigned[TREES]){__VA_ARGS__})

static struct links *begin(void **state)
{
    struct links *links = NULL;

    assert_int_equal(links_new(&links), 0);
    *visited = '\0';
    return links;
}

static void end(struct links *links, const char *expected)
{
    assert_int_equal(links_settle(links), 0);
    links_visit(links, false, visit, NULL);
    links_visit(links, true, visit, NULL);
    assert_string_equal(visited, expected);
    links_free(links);
}

static void test_one_tree(void **state)
{
    struct links *links = begin(state);

    for (unsigned i = 0; i < 6; i++) {
        const char *path = (const char *[]){"b", "x", "c", "y", "a", "z"}[i];
        struct source_inode item = {NULL, 7, i % 2, 3};
        assert_int_equal(
            links_add(links, &(struct source_inodes){.items = &item, .count = 1}, path), i < 2);
    }
    end(links, "b<a b<c x<y x<z ");
}

static void test_lost_and_broken_links(void **state)
{
    struct links *links = begin(state);

    assert_true(ADD(links, "a", 1, 1, 1, ABSENT, 1));
    assert_false(ADD(links, "b", 1, 2, 1, 1, 1));
    assert_false(ADD(links, "c", 1, 2, ABSENT, 1, 3));
    end(links, "a<b:3 a<c:1 "); /* a and c by b */
}

/* One tree has two files' names crosswise. */
static void test_crosswise(void **state)
{
    struct links *links = begin(state);

    assert_true(ADD(links, "a1", 1, 1, 1));
    assert_false(ADD(links, "a2", 1, 1, 2));
    assert_false(ADD(links, "b1", 2, 2, 2));
    assert_false(ADD(links, "b2", 2, 2, 1));
    end(links, "b1 a1<a2:2 b1<b2:2 ");
}

/* One tree says that all is one file. */
static void test_one_that_lies(void **state)
{
    struct links *links = begin(state);

    assert_true(ADD(links, "a", 1, 1, 9));
    assert_false(ADD(links, "b", 2, 2, 9));
    assert_false(ADD(links, "c", 2, 3, 9));
    assert_false(ADD(links, "d", 4, ABSENT, 9)); /* one against one */
    end(links, "b d b<c:2 ");
}

static void test_names_without_a_common_tree(void **state)
{
    struct links *links = begin(state);

    assert_true(ADD(links, "a", 1, 1, ABSENT));
    assert_true(ADD(links, "c", ABSENT, ABSENT, 1, 1));
    assert_false(ADD(links, "b", 1, 1, 1, 1));
    end(links, "a<b:2 a<c:0 "); /* c was copied, and is linked all the same */
}

/* What has one name in a tree is another object than all else there. */
static void test_single_names(void **state)
{
    struct links *links = begin(state);
    struct source_inode items[] = {{"a", 7, 1, 1}, {"b", 7, 1, 2}};
    struct source_inode others[] = {{"a", 7, 2, 1}, {"b", 7, 1, 2}};

    others[0].tree = items[0].tree;
    others[1].tree = items[1].tree;
    assert_int_equal(links_add(links, &(struct source_inodes){.items = items, .count = 2}, "x"), 1);
    assert_int_equal(links_add(links, &(struct source_inodes){.items = others, .count = 1}, "y"),
                     1);
    assert_int_equal(links_add(links, &(struct source_inodes){.items = others, .count = 2}, "z"),
                     0);
    end(links, "z ");
}

/* The order in which names come does not matter for what belongs together. */
static void test_any_order(void **state)
{
    for (unsigned start = 0; start < 3; start++) {
        struct links *links = begin(state);
        for (unsigned i = 0; i < 3; i++) {
            switch ((start + i) % 3) {
            case 0:
                ADD(links, "a", 1, 1, 1, 1, 1);
                break;
            case 1:
                ADD(links, "b", 1, 1, 1, 2, 2);
                break;
            default:
                ADD(links, "c", 3, 3, 1, 2, 1);
            }
        }
        end(links, (const char *[]){"c a<b:3 ", "c b<a:3 ", "a a<b:3 "}[start]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_tree),
        cmocka_unit_test(test_lost_and_broken_links),
        cmocka_unit_test(test_crosswise),
        cmocka_unit_test(test_one_that_lies),
        cmocka_unit_test(test_names_without_a_common_tree),
        cmocka_unit_test(test_single_names),
        cmocka_unit_test(test_any_order),
    };

    return cmocka_run_group_tests_name("links", tests, support_set_up, NULL);
}
