/* SPDX-License-Identifier: MIT */
#include "nodes-support.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_path(struct nodes *nodes, uint64_t node, const char *name, const char *expected)
{
    cleanup_free char *path = NULL;

    assert_int_equal(nodes_path(nodes, node, name, &path), 0);
    assert_string_equal(path, expected);
}

static void test_root(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();

    assert_path(nodes, NODE_ROOT, NULL, "");
    assert_path(nodes, NODE_ROOT, "a", "a");
    assert_int_equal(nodes_version(nodes, NODE_ROOT), 0);
    nodes_forget(nodes, NODE_ROOT, 1);
    nodes_forget(nodes, NODE_ROOT, UINT64_MAX);
    assert_path(nodes, NODE_ROOT, "a", "a");
}

static void test_paths(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    uint64_t a = look_up(nodes, NODE_ROOT, "a"), b = look_up(nodes, a, "bc");
    uint64_t c = look_up(nodes, b, "\xff\n d");

    assert_path(nodes, a, NULL, "a");
    assert_path(nodes, a, "x", "a/x");
    assert_path(nodes, b, NULL, "a/bc");
    assert_path(nodes, c, NULL, "a/bc/\xff\n d");
    assert_path(nodes, c, "y", "a/bc/\xff\n d/y");
}

static void test_same_name_same_number(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    uint64_t a = look_up(nodes, NODE_ROOT, "a"), b = look_up(nodes, NODE_ROOT, "b");
    uint64_t aa = look_up(nodes, a, "a"), ba = look_up(nodes, b, "a");

    assert_int_equal(look_up(nodes, NODE_ROOT, "a"), a);
    assert_int_equal(look_up(nodes, a, "a"), aa);
    assert_int_equal(look_up(nodes, b, "a"), ba);
    assert_true(a != b && a != aa && aa != ba && b != ba);
}

/* What was one name is two things: two numbers, with one path. */
static void test_two_versions(void **state)
{
    static const uint64_t versions[] = {0, 1, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX};
    cleanup_nodes struct nodes *nodes = new_nodes();
    uint64_t numbers[COUNT_OF(versions)];

    for (size_t i = 0; i < COUNT_OF(versions); i++)
        numbers[i] = look_up_version(nodes, NODE_ROOT, "a", versions[i]);
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        for (size_t j = 0; j < i; j++)
            assert_true(numbers[i] != numbers[j]);
        assert_int_equal(look_up_version(nodes, NODE_ROOT, "a", versions[i]), numbers[i]);
        assert_int_equal(nodes_version(nodes, numbers[i]), versions[i]);
        assert_path(nodes, numbers[i], NULL, "a");
        assert_path(nodes, numbers[i], "x", "a/x");
    }
}

/* Whichever of them it is, and however often the other was looked up. */
static void test_forgetting_a_version_keeps_the_other(void **state)
{
    for (unsigned forgotten = 0; forgotten < 2; forgotten++) {
        cleanup_nodes struct nodes *nodes = new_nodes();
        const uint64_t numbers[] = {look_up_version(nodes, NODE_ROOT, "a", 7),
                                    look_up_version(nodes, NODE_ROOT, "a", 8)};
        look_up_version(nodes, NODE_ROOT, "a", 7 + forgotten);
        nodes_forget(nodes, numbers[forgotten], 2);
        uint64_t kept = numbers[!forgotten];
        assert_int_equal(nodes_version(nodes, kept), 8 - forgotten);
        assert_path(nodes, kept, NULL, "a");
        assert_int_equal(look_up_version(nodes, NODE_ROOT, "a", 8 - forgotten), kept);
        look_up_version(nodes, NODE_ROOT, "a", 7 + forgotten);
        assert_path(nodes, kept, "b", "a/b");
    }
}

/* Below two versions of a directory lie two nodes, which keep their own parent only. */
static void test_children_of_versions(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    uint64_t old = look_up_version(nodes, NODE_ROOT, "d", 1);
    uint64_t new = look_up_version(nodes, NODE_ROOT, "d", 2);
    uint64_t in_old = look_up_version(nodes, old, "f", 5);
    uint64_t in_new = look_up_version(nodes, new, "f", 5);

    assert_true(in_old != in_new);
    nodes_forget(nodes, old, 1);
    nodes_forget(nodes, new, 1);
    nodes_forget(nodes, in_old, 1);
    assert_path(nodes, in_new, NULL, "d/f");
    assert_int_equal(look_up_version(nodes, NODE_ROOT, "d", 2), new);
    assert_int_equal(look_up_version(nodes, new, "f", 5), in_new);
}

/* The name is the table's own. */
static void test_name_is_copied(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    char name[] = "first";

    uint64_t node = look_up(nodes, NODE_ROOT, name);
    memcpy(name, "other", sizeof name);
    assert_path(nodes, node, NULL, "first");
}

/* A node that is still there is found by the number that it has. */
static void test_look_ups_are_counted(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    uint64_t node = look_up(nodes, NODE_ROOT, "a");

    look_up(nodes, NODE_ROOT, "a");
    look_up(nodes, NODE_ROOT, "a");
    nodes_forget(nodes, node, 1);
    assert_path(nodes, node, NULL, "a");
    nodes_forget(nodes, node, 1);
    assert_path(nodes, node, NULL, "a");
    assert_int_equal(look_up(nodes, NODE_ROOT, "a"), node);
    nodes_forget(nodes, node, 2);
}

/* A large name makes what is kept show in the memory that is used. */
enum { LARGE = 1 << 16 };

static char *large_name(char byte)
{
    char *name = (char *)exact_bytes(LARGE);

    memset(name, byte, LARGE - 1);
    name[LARGE - 1] = '\0';
    return name;
}

static void test_forgotten_is_freed(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    cleanup_free char *name = large_name('x');
    size_t before = bytes_in_use();

    uint64_t node = look_up(nodes, NODE_ROOT, name);
    look_up(nodes, NODE_ROOT, name);
    nodes_forget(nodes, node, 1);
    assert_true(bytes_in_use() >= before + LARGE);
    nodes_forget(nodes, node, 1);
    assert_int_equal(bytes_in_use(), before);
    node = look_up(nodes, NODE_ROOT, name);
    nodes_forget(nodes, node, 1000000);
    assert_int_equal(bytes_in_use(), before);
}

/* Each version has memory of its own, and gives it back. */
static void test_forgotten_version_is_freed(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    cleanup_free char *name = large_name('x');
    size_t before = bytes_in_use();

    uint64_t old = look_up_version(nodes, NODE_ROOT, name, 1);
    size_t with_one = bytes_in_use();
    uint64_t new = look_up_version(nodes, NODE_ROOT, name, 2);
    assert_true(bytes_in_use() >= with_one + LARGE);
    nodes_forget(nodes, old, 1);
    assert_int_equal(bytes_in_use(), with_one);
    nodes_forget(nodes, new, 1);
    assert_int_equal(bytes_in_use(), before);
}

static void test_children_keep_parents(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    uint64_t a = look_up(nodes, NODE_ROOT, "a"), b = look_up(nodes, a, "b");
    uint64_t c = look_up(nodes, b, "c");

    nodes_forget(nodes, a, 1);
    nodes_forget(nodes, b, 1);
    assert_path(nodes, c, NULL, "a/b/c");
    assert_int_equal(look_up(nodes, NODE_ROOT, "a"), a);
    assert_int_equal(look_up(nodes, a, "b"), b);
    nodes_forget(nodes, b, 1);
    nodes_forget(nodes, c, 1);
    assert_path(nodes, a, NULL, "a");
    nodes_forget(nodes, a, 1);
}

static void test_parents_go_with_the_last_child(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    cleanup_free char *x = large_name('x'), *y = large_name('y'), *z = large_name('z');
    size_t before = bytes_in_use();

    uint64_t a = look_up(nodes, NODE_ROOT, x), b = look_up(nodes, a, y), c = look_up(nodes, a, z);
    nodes_forget(nodes, a, 1);
    nodes_forget(nodes, b, 1);
    assert_true(bytes_in_use() >= before + 2 * LARGE);
    nodes_forget(nodes, c, 1);
    assert_int_equal(bytes_in_use(), before);
}

static void test_depth(void **state)
{
    enum { DEPTH = 10000, LENGTH = 255, STEP = LENGTH + 1 };
    cleanup_nodes struct nodes *nodes = new_nodes();
    cleanup_free char *expected = (char *)exact_bytes(DEPTH * STEP);
    uint64_t node = NODE_ROOT;
    char name[STEP];

    for (size_t depth = 0; depth < DEPTH; depth++) {
        snprintf(name, sizeof name, "%0255zu", depth * depth);
        uint64_t below = look_up(nodes, node, name);
        nodes_forget(nodes, node, 1);
        node = below;
        memcpy(expected + depth * STEP, name, LENGTH);
        expected[depth * STEP + LENGTH] = '/';
    }
    expected[DEPTH * STEP - 1] = '\0';
    assert_path(nodes, node, NULL, expected);
    nodes_forget(nodes, node, 1);
}

static void test_many(void **state)
{
    enum { COUNT = 200000 };
    cleanup_nodes struct nodes *nodes = new_nodes();
    cleanup_free uint64_t *numbers = calloc(COUNT, sizeof *numbers);
    size_t before = bytes_in_use();
    char name[32], expected[64];

    uint64_t directory = look_up(nodes, NODE_ROOT, "d");
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "name %u", i);
        numbers[i] = look_up(nodes, directory, name);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "name %u", i);
        assert_int_equal(look_up(nodes, directory, name), numbers[i]);
        snprintf(expected, sizeof expected, "d/name %u/x", i);
        assert_path(nodes, numbers[i], "x", expected);
    }
    nodes_forget(nodes, directory, 1);
    for (unsigned i = 0; i < COUNT; i++)
        nodes_forget(nodes, numbers[(uint64_t)i * 7919 % COUNT], 2);
    /* The table has shrunk too: for so many nodes it had two million bytes. */
    assert_true(bytes_in_use() < before + 50000);
}

/* A file that changes all the time, while the kernel still knows all that it was. */
static void test_many_versions(void **state)
{
    enum { COUNT = 1000 };
    cleanup_nodes struct nodes *nodes = new_nodes();
    uint64_t numbers[COUNT];

    for (unsigned i = 0; i < COUNT; i++)
        numbers[i] = look_up_version(nodes, NODE_ROOT, "log", i);
    for (unsigned i = 0; i < COUNT; i += 2)
        nodes_forget(nodes, numbers[i], 1);
    for (unsigned i = 1; i < COUNT; i += 2) {
        assert_int_equal(nodes_version(nodes, numbers[i]), i);
        assert_int_equal(look_up_version(nodes, NODE_ROOT, "log", i), numbers[i]);
    }
}

/* With so many directories some have a child of one name with the same hash as another's. */
static void test_same_name_in_many_directories(void **state)
{
    enum { COUNT = 250000 };
    cleanup_nodes struct nodes *nodes = new_nodes();
    cleanup_free uint64_t *numbers = calloc(COUNT, sizeof *numbers);
    char name[32];

    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "%u", i);
        numbers[i] = look_up(nodes, look_up(nodes, NODE_ROOT, name), "one name");
    }
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "%u/one name", i);
        assert_path(nodes, numbers[i], NULL, name);
    }
}

static void test_shrinking_keeps_the_rest(void **state)
{
    enum { COUNT = 50000, KEPT = 500 };
    cleanup_nodes struct nodes *nodes = new_nodes();
    cleanup_free uint64_t *numbers = calloc(COUNT, sizeof *numbers);
    char name[32];

    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "%u", i);
        numbers[i] = look_up(nodes, NODE_ROOT, name);
    }
    for (unsigned i = KEPT; i < COUNT; i++)
        nodes_forget(nodes, numbers[i], 1);
    for (unsigned i = 0; i < KEPT; i++) {
        snprintf(name, sizeof name, "%u", i);
        assert_int_equal(look_up(nodes, NODE_ROOT, name), numbers[i]);
    }
}

/* Nodes that the kernel still knows are freed with the table: AddressSanitizer looks for leaks. */
static void test_freed_with_the_table(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();

    for (unsigned i = 0; i < 5000; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u", i);
        look_up(nodes, look_up(nodes, NODE_ROOT, name), name);
    }
}

/* What the table is to know: a model without any cleverness. Model node 0 is the root. */
enum { MODEL_NODES = 400, MODEL_NAMES = 9, MODEL_VERSIONS = 3, MODEL_DEPTH = 6 };

struct model_node {
    bool lives;
    unsigned parent, name, version, look_ups, depth;
    uint64_t number;
};

static struct model_node model[MODEL_NODES];

static unsigned model_children(unsigned node)
{
    unsigned children = 0;

    for (unsigned n = 1; n < MODEL_NODES; n++)
        children += model[n].lives && model[n].parent == node;
    return children;
}

static unsigned model_find(unsigned parent, unsigned name, unsigned version)
{
    for (unsigned n = 1; n < MODEL_NODES; n++) {
        if (model[n].lives && model[n].parent == parent && model[n].name == name &&
            model[n].version == version)
            return n;
    }
    return 0;
}

static unsigned model_insert(unsigned parent, unsigned name, unsigned version, uint64_t number)
{
    unsigned place = 1;

    for (unsigned n = 1; n < MODEL_NODES; n++)
        assert_false(model[n].lives && model[n].number == number);
    while (model[place].lives)
        place++;
    model[place] = (struct model_node){.lives = true,
                                       .parent = parent,
                                       .name = name,
                                       .version = version,
                                       .depth = model[parent].depth + 1,
                                       .number = number};
    return place;
}

static void model_drop(unsigned node)
{
    while (node != 0 && model[node].look_ups == 0 && model_children(node) == 0) {
        model[node].lives = false;
        node = model[node].parent;
    }
}

static unsigned model_count(void)
{
    unsigned count = 0;

    for (unsigned n = 1; n < MODEL_NODES; n++)
        count += model[n].lives;
    return count;
}

/* Any node that the kernel knows: it asks for no other. */
static unsigned model_choose(void)
{
    unsigned chosen;

    do {
        chosen = (unsigned)random_below(MODEL_NODES);
    } while (chosen != 0 && (!model[chosen].lives || model[chosen].look_ups == 0));
    return chosen;
}

static void model_name(unsigned name, char ret[32])
{
    /* Names that begin alike, and one that is long. */
    snprintf(ret, 32, name == 0 ? "a rather long name" : "n%u", name);
}

static void model_path(unsigned node, char *ret)
{
    char name[32];

    if (node == 0) {
        *ret = '\0';
        return;
    }
    model_path(model[node].parent, ret);
    if (*ret)
        strcat(ret, "/");
    model_name(model[node].name, name);
    strcat(ret, name);
}

static void random_look_up(struct nodes *nodes)
{
    unsigned parent = model_choose(), name = (unsigned)random_below(MODEL_NAMES);
    unsigned version = (unsigned)random_below(MODEL_VERSIONS);
    char text[32];

    if (model[parent].depth >= MODEL_DEPTH || model_count() >= MODEL_NODES - 1)
        return;
    model_name(name, text);
    uint64_t number = look_up_version(nodes, model[parent].number, text, version);
    unsigned node = model_find(parent, name, version);
    if (node == 0)
        node = model_insert(parent, name, version, number);
    assert_int_equal(number, model[node].number);
    model[node].look_ups++;
}

static void random_forget(struct nodes *nodes)
{
    unsigned node = model_choose();

    if (node == 0)
        return;
    unsigned count = (unsigned)random_between(1, model[node].look_ups);
    nodes_forget(nodes, model[node].number, count);
    model[node].look_ups -= count;
    model_drop(node);
}

static void check_path(struct nodes *nodes)
{
    unsigned node = model_choose();
    char expected[32 * (MODEL_DEPTH + 2)];

    assert_int_equal(nodes_version(nodes, model[node].number), model[node].version);
    model_path(node, expected);
    assert_path(nodes, model[node].number, NULL, expected);
    strcat(expected, *expected ? "/z" : "z");
    assert_path(nodes, model[node].number, "z", expected);
}

static void test_against_model(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    unsigned most = 0;

    memset(model, 0, sizeof model);
    model[0] = (struct model_node){.lives = true, .number = NODE_ROOT};
    for (unsigned round = 0; round < 60000; round++) {
        /* Tides: the table fills and empties. */
        bool high = round / 3000 % 2 == 0;
        if (random_below(10) < (high ? 7 : 3))
            random_look_up(nodes);
        else
            random_forget(nodes);
        check_path(nodes);
        most = model_count() > most ? model_count() : most;
    }
    assert_true(most > 100);
}

struct contest {
    struct nodes *nodes;
    atomic_uint wrong;
};

/* Everybody looks the same names up, and forgets exactly what he looked up. */
static void look_up_and_forget(void *argument, unsigned number)
{
    struct contest *contest = argument;

    for (unsigned round = 0; round < 3000; round++) {
        uint64_t directory = 0, file = 0;
        cleanup_free char *path = NULL;
        char names[2][16], expected[40];
        snprintf(names[0], sizeof names[0], "d%u", round % 5);
        snprintf(names[1], sizeof names[1], "f%u", (round + number) % 700);
        unsigned version = round / 5 % 2;
        snprintf(expected, sizeof expected, "%s/%s", names[0], names[1]);
        if (nodes_look_up(contest->nodes, NODE_ROOT, names[0], version, &directory) < 0 ||
            nodes_look_up(contest->nodes, directory, names[1], number, &file) < 0)
            abort();
        contest->wrong += nodes_version(contest->nodes, directory) != version;
        contest->wrong += nodes_version(contest->nodes, file) != number;
        nodes_forget(contest->nodes, directory, 1);
        if (nodes_path(contest->nodes, file, NULL, &path) < 0)
            abort();
        contest->wrong += strcmp(path, expected) != 0;
        nodes_forget(contest->nodes, file, 1);
    }
}

static void test_threads(void **state)
{
    cleanup_nodes struct nodes *nodes = new_nodes();
    struct contest contest = {.nodes = nodes};

    in_threads(8, look_up_and_forget, &contest);
    assert_int_equal(contest.wrong, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_same_name_same_number),
        cmocka_unit_test(test_two_versions),
        cmocka_unit_test(test_forgetting_a_version_keeps_the_other),
        cmocka_unit_test(test_children_of_versions),
        cmocka_unit_test(test_name_is_copied),
        cmocka_unit_test(test_look_ups_are_counted),
        cmocka_unit_test(test_forgotten_is_freed),
        cmocka_unit_test(test_forgotten_version_is_freed),
        cmocka_unit_test(test_children_keep_parents),
        cmocka_unit_test(test_parents_go_with_the_last_child),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_many_versions),
        cmocka_unit_test(test_same_name_in_many_directories),
        cmocka_unit_test(test_shrinking_keeps_the_rest),
        cmocka_unit_test(test_freed_with_the_table),
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests_name("nodes", tests, support_set_up, NULL);
}
