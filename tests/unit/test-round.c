/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "store/round.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Two stores on a local file system: they are asked by whoever has a question. */
static char folder[] = "/tmp/zfec-fs-test-round-XXXXXX";
static char path[sizeof folder + 8];
static struct store *stores[2];

static int set_up(void **state)
{
    support_set_up(state);
    if (!mkdtemp(folder))
        return -1;
    for (size_t i = 0; i < COUNT_OF(stores); i++) {
        snprintf(path, sizeof path, "%s/store-%zu", folder, i);
        if (mkdir(path, 0755) < 0 || store_new(path, &stores[i]) < 0)
            return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    for (size_t i = 0; i < COUNT_OF(stores); i++) {
        store_release(stores[i]);
        snprintf(path, sizeof path, "%s/store-%zu", folder, i);
        rmdir(path);
    }
    return rmdir(folder);
}

/* What was done with the tasks of a test. */
static struct {
    atomic_uint run, dropped;
    pthread_t last;
} seen;

static void forget_seen(void)
{
    seen.run = seen.dropped = 0;
}

struct question {
    struct task task;
    int number;
};

static void run(struct task *task)
{
    struct question *question = (struct question *)task;

    question->number *= 2;
    seen.last = pthread_self();
    seen.run++;
}

static void drop(struct task *task)
{
    seen.dropped++;
    free(task);
}

static struct question *question_new(int number)
{
    struct question *question = calloc(1, sizeof *question);

    question->task.run = run;
    question->task.drop = drop;
    question->number = number;
    return question;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void test_store(void **state)
{
    struct stat status;

    assert_false(store_is_remote(stores[0]));
    assert_int_equal(tree_stat(store_tree(stores[0]), "", &status), 0);
    assert_true(S_ISDIR(status.st_mode));
    assert_string_equal(strrchr(store_name(stores[1]), '/'), "/store-1");
}

static void test_what_is_no_store(void **state)
{
    struct store *store = stores[0];

    assert_int_equal(store_new("/tmp/zfec-fs-test/no/such/folder", &store), -ENOENT);
    assert_int_equal(store_new("/dev/null", &store), -ENOTDIR);
    assert_ptr_equal(store, stores[0]);
}

/* It lives as long as someone holds it. What threads of earlier tests still free is little. */
static void test_holding(void **state)
{
    enum { ROUNDS = 1000, OTHERS = 8192 };
    struct store *store;
    size_t before = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        assert_int_equal(store_new(folder, &store), 0);
        assert_ptr_equal(store_hold(store), store);
        store_release(store);
        assert_string_equal(store_name(store), folder);
        store_release(store);
        before = round <= 20 ? bytes_in_use() : before;
    }
    assert_true(bytes_in_use() <= before + OTHERS);
}

static void test_empty_round(void **state)
{
    struct round *round;

    forget_seen();
    assert_int_equal(round_new(&round), 0);
    double start = seconds();
    round_wait_for_all(round);
    assert_true(seconds() - start < 1);
    round_leave(round);
}

static void test_round_without_waiting(void **state)
{
    struct round *round;

    forget_seen();
    assert_int_equal(round_new(&round), 0);
    round_put(round, stores[0], &question_new(0)->task);
    round_leave(round);
    assert_int_equal(seen.dropped, 1);
}

/* All are answered, by the asker's own thread, and can be looked at until the round is left. */
static void test_all_answered(void **state)
{
    struct question *questions[20];
    struct round *round;

    forget_seen();
    assert_int_equal(round_new(&round), 0);
    for (int i = 0; i < 20; i++) {
        questions[i] = question_new(i);
        round_put(round, stores[i % 2], &questions[i]->task);
    }
    round_wait_for_all(round);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(questions[i]->task.state, TASK_ANSWERED);
        assert_int_equal(questions[i]->number, 2 * i);
        assert_ptr_equal(questions[i]->task.store, stores[i % 2]);
    }
    assert_int_equal(seen.run, 20);
    assert_true(pthread_equal(seen.last, pthread_self()));
    assert_int_equal(seen.dropped, 0);
    round_leave(round);
    assert_int_equal(seen.dropped, 20);
}

/* What is answered is set by waiting, and not before. */
static void test_answered_is_set_by_waiting(void **state)
{
    struct question *question = question_new(0);
    struct round *round;

    forget_seen();
    question->task.state = TASK_ANSWERED;
    assert_int_equal(round_new(&round), 0);
    round_put(round, stores[0], &question->task);
    assert_int_equal(question->task.state, TASK_PENDING);
    round_wait_for_all(round);
    assert_int_equal(question->task.state, TASK_ANSWERED);
    round_leave(round);
}

/* Several threads run them; each is run once, and its answer is there when the wait is over. */
static void test_many_heavy_tasks(void **state)
{
    enum { TASKS = 100, ROUNDS = 200 };
    struct question *questions[TASKS];

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct round *round;
        forget_seen();
        assert_int_equal(round_new(&round), 0);
        for (int task = 0; task < TASKS; task++) {
            questions[task] = question_new(task);
            questions[task]->task.heavy = task % 3 > 0;
            round_put(round, stores[task % 2], &questions[task]->task);
        }
        round_wait_for_all(round);
        for (int task = 0; task < TASKS; task++) {
            assert_int_equal(questions[task]->task.state, TASK_ANSWERED);
            assert_int_equal(questions[task]->number, 2 * task);
        }
        assert_int_equal(seen.run, TASKS);
        round_leave(round);
        assert_int_equal(seen.dropped, TASKS);
    }
}

/* A second wait is for what was put since the first one. */
static void test_waiting_twice(void **state)
{
    struct round *round;

    forget_seen();
    assert_int_equal(round_new(&round), 0);
    for (int i = 0; i < 2; i++) {
        struct question *question = question_new(i);
        round_put(round, stores[i], &question->task);
        round_wait_for_all(round);
        assert_int_equal(question->task.state, TASK_ANSWERED);
    }
    round_leave(round);
    assert_int_equal(seen.run, 2);
    assert_int_equal(seen.dropped, 2);
}

/* A local store is not asked through its threads: that it was set aside is no reason to wait. */
static void test_local_store_set_aside(void **state)
{
    struct question *question = question_new(0);
    struct round *round;

    store_set_aside(stores[0]);
    forget_seen();
    assert_int_equal(round_new(&round), 0);
    round_put(round, stores[0], &question->task);
    round_wait_for_all(round);
    assert_int_equal(question->task.state, TASK_ANSWERED);
    round_leave(round);
}

static void run_rounds(void *shared, unsigned number)
{
    struct store *store = shared;
    struct round *round;

    for (unsigned i = 0; i < 200; i++) {
        if (round_new(&round) < 0)
            abort();
        round_put(round, store, &question_new(1)->task);
        round_put(round, store, &question_new(1)->task);
        if (random_below(2))
            round_wait_for_all(round);
        round_leave(round);
    }
}

/* Many rounds at once on one store: each task that is waited for is run once, each dropped once. */
static void test_rounds_in_threads(void **state)
{
    size_t before = bytes_in_use();

    forget_seen();
    in_threads(16, run_rounds, stores[1]);
    assert_true(seen.run <= 16 * 200 * 2 && seen.run % 2 == 0);
    assert_int_equal(seen.dropped, 16 * 200 * 2);
    assert_true(bytes_in_use() <= before + 65536);
}

/* A store that is set aside takes no task, and does not touch the one it is given. */
static void test_submit_while_set_aside(void **state)
{
    struct store *store;
    struct task task = {.run = run}, before = task;

    forget_seen();
    assert_int_equal(store_new(folder, &store), 0);
    store_set_aside(store);
    store_set_aside(store);
    assert_int_equal(store_submit(store, &task, false), -ETIMEDOUT);
    assert_memory_equal(&task, &before, sizeof task);
    store_release(store);
    assert_int_equal(seen.run, 0);
}

/* A local store's task that no one waits for is run and dropped at once. */
static void test_run_later(void **state)
{
    struct question *question = calloc(1, sizeof *question);

    forget_seen();
    question->task.run = run;
    question->task.drop = drop;
    task_run_later(stores[0], &question->task);
    assert_int_equal(seen.run, 1);
    assert_int_equal(seen.dropped, 1);
    assert_true(pthread_equal(seen.last, pthread_self()));
}

/* The store lives as long as a task of it does. */
static void test_release_under_a_task(void **state)
{
    struct store *store;
    struct round *round;

    assert_int_equal(store_new(folder, &store), 0);
    forget_seen();
    assert_int_equal(round_new(&round), 0);
    struct question *question = question_new(0);
    round_put(round, store, &question->task);
    store_release(store);
    round_wait_for_all(round);
    assert_int_equal(question->task.state, TASK_ANSWERED);
    assert_string_equal(store_name(question->task.store), folder);
    round_leave(round);
    assert_int_equal(seen.dropped, 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_what_is_no_store),
        cmocka_unit_test(test_holding),
        cmocka_unit_test(test_empty_round),
        cmocka_unit_test(test_round_without_waiting),
        cmocka_unit_test(test_all_answered),
        cmocka_unit_test(test_answered_is_set_by_waiting),
        cmocka_unit_test(test_many_heavy_tasks),
        cmocka_unit_test(test_waiting_twice),
        cmocka_unit_test(test_rounds_in_threads),
        cmocka_unit_test(test_submit_while_set_aside),
        cmocka_unit_test(test_run_later),
        cmocka_unit_test(test_release_under_a_task),
        cmocka_unit_test(test_local_store_set_aside),
    };

    return cmocka_run_group_tests_name("round", tests, set_up, tear_down);
}
