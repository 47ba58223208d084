/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "base/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { PARTS = 1000, CALLERS = 20, ROUNDS = 50, TEAM_MAX = 16 };

/* Parts of a whole, each of which is to be done once. */
struct parts {
    atomic_uint next, bodies;
    atomic_uint done[PARTS];
};

static void do_parts(void *context)
{
    struct parts *parts = context;
    unsigned i;

    atomic_fetch_add(&parts->bodies, 1);
    while ((i = atomic_fetch_add(&parts->next, 1)) < PARTS)
        atomic_fetch_add(&parts->done[i], 1);
}

static void check_team(size_t size)
{
    struct parts *parts = calloc(1, sizeof *parts);

    assert_non_null(parts);
    team_run(NULL, size, do_parts, parts);
    for (unsigned i = 0; i < PARTS; i++)
        assert_int_equal(parts->done[i], 1);
    assert_true(parts->bodies >= 1 && parts->bodies <= (size < 1 ? 1 : size));
    assert_true(parts->bodies <= TEAM_MAX);
    free(parts); /* a thread that comes later would be seen by a sanitizer */
}

static void test_each_part_once(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 3, TEAM_MAX, TEAM_MAX + 1, 1000};

    for (unsigned round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++)
            check_team(sizes[i]);
    }
}

static void meet(void *context)
{
    pthread_barrier_wait(context);
}

/* Nobody comes back before all are there at once. */
static void test_helpers_come(void **state)
{
    static const unsigned sizes[] = {2, TEAM_MAX, 2};
    pthread_barrier_t barrier;

    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        pthread_barrier_init(&barrier, NULL, sizes[i]);
        team_run(NULL, sizes[i], meet, &barrier);
        pthread_barrier_destroy(&barrier);
    }
}

struct waiting {
    pthread_t caller;
    atomic_uint begun, returned;
};

/* The caller is back as soon as a helper has begun, which takes long. */
static void take_long(void *context)
{
    struct waiting *waiting = context;

    if (pthread_equal(pthread_self(), waiting->caller)) {
        while (waiting->begun == 0)
            usleep(1000);
        return;
    }
    atomic_fetch_add(&waiting->begun, 1);
    usleep(50000);
    atomic_fetch_add(&waiting->returned, 1);
}

/* Whoever has begun is waited for. */
static void test_helpers_are_waited_for(void **state)
{
    struct waiting waiting = {.caller = pthread_self()};

    team_run(NULL, 2, take_long, &waiting);
    assert_int_equal(waiting.begun, 1);
    assert_int_equal(waiting.returned, 1);
}

static void *call_teams(void *nothing)
{
    for (unsigned i = 0; i < ROUNDS; i++)
        check_team(TEAM_MAX);
    return nothing;
}

/* More helpers are wanted than there may be. */
static void test_many_teams_at_once(void **state)
{
    pthread_t threads[CALLERS];

    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_teams, NULL), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
}

static void nest(void *context)
{
    check_team(4);
}

static void test_teams_in_teams(void **state)
{
    team_run(NULL, 4, nest, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_part_once),         cmocka_unit_test(test_helpers_come),
        cmocka_unit_test(test_helpers_are_waited_for), cmocka_unit_test(test_many_teams_at_once),
        cmocka_unit_test(test_teams_in_teams),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
