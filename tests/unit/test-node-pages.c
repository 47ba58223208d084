/* SPDX-License-Identifier: MIT */
#include "nodes-support.h"

#include <pthread.h>
#include <unistd.h>

static pid_t caller; /* 0, as another namespace's, is refused nothing but for what is open */

static enum node_pages enter(struct nodes *nodes, uint64_t node, uint64_t version, uint64_t size,
                             uint64_t content)
{
    const struct node_file file = {
        version, {size, 1, {.tv_sec = (time_t)version}}, content, .caller = caller};
    enum node_pages pages = NOT_ENTERED;

    int r = nodes_enter(nodes, node, &file, &pages);
    assert_true(r == 0 || (r == -ESTALE && pages == NOT_ENTERED));
    return pages;
}

static enum node_pages enter_file(struct nodes *nodes, uint64_t node, uint64_t content)
{
    return enter(nodes, node, nodes_version(nodes, node), 100, content);
}

static enum node_pages open_file(struct nodes *nodes, uint64_t node, uint64_t content)
{
    enum node_pages pages = enter_file(nodes, node, content);

    if (pages != PAGES_OF_OTHER)
        nodes_note_pages(nodes, node, content);
    return pages;
}

/* Pages are kept for the content that they are of, and for no other one. */
static void test_pages(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    uint64_t node = look_up(nodes, NODE_ROOT, "file");

    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(open_file(nodes, node, 7), PAGES_DROPPED);
        assert_int_equal(open_file(nodes, node, 7), PAGES_KEPT);
        nodes_leave(nodes, node, PAGES_DROPPED);
        nodes_leave(nodes, node, PAGES_DROPPED);
        assert_int_equal(open_file(nodes, node, 7), PAGES_KEPT);
        nodes_leave(nodes, node, PAGES_DROPPED);
        assert_int_equal(open_file(nodes, node, 8), PAGES_DROPPED);
        nodes_leave(nodes, node, PAGES_DROPPED);
    }
    nodes_forget(nodes, node, 1);
}

/* As long as one content is open, another one has no part in its pages. */
static void test_pages_of_another_content(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    uint64_t node = look_up(nodes, NODE_ROOT, "file");

    assert_int_equal(open_file(nodes, node, 7), PAGES_DROPPED);
    assert_int_equal(open_file(nodes, node, 8), PAGES_OF_OTHER);
    assert_int_equal(open_file(nodes, node, 0), PAGES_OF_OTHER);
    for (unsigned i = 0; i < 3; i++) /* a mapping of the others may have brought theirs */
        assert_int_equal(open_file(nodes, node, 7), PAGES_DROPPED);
    nodes_leave(nodes, node, PAGES_OF_OTHER);
    nodes_leave(nodes, node, PAGES_OF_OTHER);
    assert_int_equal(open_file(nodes, node, 7), PAGES_DROPPED);
    assert_int_equal(open_file(nodes, node, 7), PAGES_KEPT);
    for (unsigned i = 0; i < 6; i++)
        nodes_leave(nodes, node, PAGES_DROPPED);
    assert_int_equal(open_file(nodes, node, 8), PAGES_DROPPED);
    assert_int_equal(open_file(nodes, node, 8), PAGES_KEPT);
    nodes_leave(nodes, node, PAGES_DROPPED);
    nodes_leave(nodes, node, PAGES_DROPPED);
    nodes_forget(nodes, node, 1);
}

/* Nothing is kept of contents that are not known, alone or beside others. */
static void test_pages_of_unknown_content(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    uint64_t node = look_up(nodes, NODE_ROOT, "file");

    assert_int_equal(open_file(nodes, node, 0), PAGES_DROPPED);
    assert_int_equal(open_file(nodes, node, 0), PAGES_DROPPED);
    assert_int_equal(open_file(nodes, node, 7), PAGES_DROPPED);
    assert_int_equal(open_file(nodes, node, 7), PAGES_DROPPED);
    for (unsigned i = 0; i < 4; i++)
        nodes_leave(nodes, node, PAGES_DROPPED);
    assert_int_equal(open_file(nodes, node, 7), PAGES_DROPPED);
    nodes_leave(nodes, node, PAGES_DROPPED);
    nodes_forget(nodes, node, 1);
}

/* The kernel drops pages when it has heard that it has to: until then they may be older ones. */
static void test_pages_are_not_dropped_yet(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    uint64_t node = look_up(nodes, NODE_ROOT, "file");

    assert_int_equal(enter_file(nodes, node, 7), PAGES_DROPPED);
    assert_int_equal(enter_file(nodes, node, 7), PAGES_DROPPED);
    nodes_note_pages(nodes, node, 8);
    assert_int_equal(enter_file(nodes, node, 7), PAGES_DROPPED);
    nodes_note_pages(nodes, node, 7);
    assert_int_equal(enter_file(nodes, node, 7), PAGES_KEPT);
    for (unsigned i = 0; i < 4; i++)
        nodes_leave(nodes, node, PAGES_DROPPED);
    nodes_forget(nodes, node, 1);
}

static void *enter_when_given(void *opaque)
{
    struct nodes *nodes = opaque;
    uint64_t node = look_up(nodes, NODE_ROOT, "file");

    enum node_pages pages = enter_file(nodes, node, 0);
    assert_int_equal(pages, PAGES_DROPPED);
    assert_false(nodes_wants_pages(nodes, node, false, false));
    nodes_leave(nodes, node, pages);
    nodes_forget(nodes, node, 1);
    return NULL;
}

/* Who opens a file while its pages are given waits for that. */
static void test_entering_while_pages_are_given(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    uint64_t node = look_up(nodes, NODE_ROOT, "file");
    pthread_t thread;

    enter_file(nodes, node, 0);
    assert_true(nodes_wants_pages(nodes, node, false, true));
    assert_int_equal(pthread_create(&thread, NULL, enter_when_given, nodes), 0);
    usleep(50000);
    assert_true(nodes_wants_pages(nodes, node, false, false)); /* no other one is in */
    nodes_end_giving(nodes, node, true, 0);
    pthread_join(thread, NULL);
    nodes_leave(nodes, node, PAGES_DROPPED);
    nodes_forget(nodes, node, 1);
}

/* All pages are given to one who has the file alone, once; or again where they are dropped. */
static void test_giving_pages(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    uint64_t node = look_up(nodes, NODE_ROOT, "file"), other = look_up(nodes, NODE_ROOT, "other");

    enter_file(nodes, node, 7);
    assert_true(nodes_wants_pages(nodes, node, false, false));
    assert_true(nodes_wants_pages(nodes, node, true, false));
    enter_file(nodes, node, 7);
    assert_false(nodes_wants_pages(nodes, node, true, false));
    assert_false(nodes_wants_pages(nodes, node, true, true));
    nodes_leave(nodes, node, PAGES_DROPPED);
    enter_file(nodes, node, 8);
    assert_false(nodes_wants_pages(nodes, node, true, false));
    nodes_leave(nodes, node, PAGES_OF_OTHER);
    assert_true(nodes_wants_pages(nodes, node, false, true));
    nodes_end_giving(nodes, node, false, 7);
    assert_true(nodes_wants_pages(nodes, node, false, true));
    nodes_end_giving(nodes, node, true, 7);
    assert_false(nodes_wants_pages(nodes, node, false, false));
    assert_true(nodes_wants_pages(nodes, node, true, false));
    assert_int_equal(enter_file(nodes, node, 7), PAGES_KEPT);
    nodes_leave(nodes, node, PAGES_DROPPED);
    enter_file(nodes, other, 0);
    assert_true(nodes_wants_pages(nodes, other, false, false));
    nodes_leave(nodes, other, PAGES_DROPPED);
    nodes_leave(nodes, node, PAGES_DROPPED);
    nodes_forget(nodes, node, 1);
    nodes_forget(nodes, other, 1);
}

/* What is open by one node is of one version, and has one size and time. */
static void test_one_version_is_open(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    uint64_t node = look_up(nodes, NODE_ROOT, "file");
    struct node_opened opened;

    assert_false(nodes_tell(nodes, node, nodes_version(nodes, node), &opened));
    for (uint64_t version = 5; version < 8; version++) {
        assert_int_equal(enter(nodes, node, version, version * 100, 0), PAGES_AVOIDED);
        assert_int_equal(enter(nodes, node, version, version * 100, 0), PAGES_AVOIDED);
        assert_int_equal(enter(nodes, node, version + 1, 3, 0), NOT_ENTERED);
        assert_true(nodes_tell(nodes, node, 1234, &opened));
        assert_int_equal(opened.size, version * 100);
        assert_int_equal(opened.mtime.tv_sec, version);
        nodes_leave(nodes, node, PAGES_AVOIDED);
        assert_int_equal(enter(nodes, node, version + 1, 3, 0), NOT_ENTERED);
        nodes_leave(nodes, node, PAGES_AVOIDED);
        assert_false(nodes_tell(nodes, node, version, &opened));
    }
    nodes_forget(nodes, node, 1);
}

/* Whom the kernel lets look the name up again; but a file may be another one each time. */
static void test_first_open_of_another_version(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    uint64_t node = look_up_version(nodes, NODE_ROOT, "file", 1);

    for (caller = 1000; caller < 1003; caller++) {
        assert_int_equal(enter(nodes, node, 2, 5, 0), NOT_ENTERED);
        uint64_t newer = look_up_version(nodes, NODE_ROOT, "file", 2);
        assert_true(newer != node);
        assert_int_equal(enter(nodes, newer, 2, 5, 0), PAGES_DROPPED);
        nodes_leave(nodes, newer, PAGES_DROPPED);
    }
    for (uint64_t version = 3; version < 9; version += 2) {
        assert_int_equal(enter(nodes, node, version, 5, 0), NOT_ENTERED);
        node = look_up_version(nodes, NODE_ROOT, "file", version);
        assert_int_equal(enter(nodes, node, version + 1, 5, 0), PAGES_AVOIDED);
        nodes_leave(nodes, node, PAGES_AVOIDED);
    }
    for (caller = 2000; caller < 2008; caller++)
        assert_int_equal(enter(nodes, node, 9, 5, 0), NOT_ENTERED);
    while (caller-- > 2000) {
        assert_int_equal(enter(nodes, node, 9, 5, 0), PAGES_AVOIDED);
        nodes_leave(nodes, node, PAGES_AVOIDED);
    }
    caller = 0;
}

/* What was of another version once, to the kernel, is no one's any more, and keeps no pages. */
static void test_spoilt_nodes(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    uint64_t told = look_up(nodes, NODE_ROOT, "told"), other = look_up(nodes, NODE_ROOT, "opened");
    uint64_t version = nodes_version(nodes, told);
    struct node_opened opened;

    assert_false(nodes_tell(nodes, told, version, &opened));
    assert_true(look_up(nodes, NODE_ROOT, "told") == told);
    assert_false(nodes_tell(nodes, told, version + 1, &opened));
    assert_int_equal(enter(nodes, other, version + 1, 5, 7), PAGES_AVOIDED);
    nodes_leave(nodes, other, PAGES_AVOIDED);
    assert_false(look_up(nodes, NODE_ROOT, "told") == told);
    assert_false(look_up(nodes, NODE_ROOT, "opened") == other);
    assert_int_equal(enter(nodes, other, version, 5, 7), PAGES_OF_OTHER);
    nodes_leave(nodes, other, PAGES_OF_OTHER);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_pages_of_another_content),
        cmocka_unit_test(test_pages_of_unknown_content),
        cmocka_unit_test(test_pages_are_not_dropped_yet),
        cmocka_unit_test(test_giving_pages),
        cmocka_unit_test(test_entering_while_pages_are_given),
        cmocka_unit_test(test_one_version_is_open),
        cmocka_unit_test(test_first_open_of_another_version),
        cmocka_unit_test(test_spoilt_nodes),
    };

    return cmocka_run_group_tests_name("node pages", tests, support_set_up, NULL);
}
