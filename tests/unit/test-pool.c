/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "base/pool.h"

#include <stdatomic.h>

enum { CALLS = 1000, INNER = 50, THREADS = 4 };

static struct pool *pool;
static atomic_uint counts[CALLS], inner;

static bool count_one(void *context, uint64_t i)
{
    atomic_fetch_add((atomic_uint *)context + i, 1);
    return true;
}

static bool count_inner(void *context, uint64_t i)
{
    atomic_fetch_add(&inner, 1);
    return true;
}

static bool nest(void *context, uint64_t i)
{
    count_one(context, i);
    pool_each(pool, INNER, count_inner, NULL);
    return true;
}

/* Stops at once, of far more calls than anyone waits for. */
static bool count_and_stop(void *context, uint64_t i)
{
    atomic_fetch_add(&inner, 1);
    return false;
}

static void test_one_ends_it(void **state)
{
    assert_int_equal(pool_new(THREADS, &pool), 0);
    pool_each(pool, UINT64_MAX / 2, count_and_stop, NULL);
    assert_true(atomic_exchange(&inner, 0) <= THREADS);
    pool_each(NULL, UINT64_MAX / 2, count_and_stop, NULL);
    assert_int_equal(atomic_exchange(&inner, 0), 1);
    pool_wait(pool);
    pool_free(pool);
}

static void check_counts(unsigned expected)
{
    for (unsigned i = 0; i < CALLS; i++)
        assert_int_equal(atomic_exchange(&counts[i], 0), expected);
}

static void test_each_once(void **state)
{
    assert_int_equal(pool_new(THREADS, &pool), 0);
    pool_each(pool, CALLS, count_one, counts);
    check_counts(1);
    pool_each(pool, 1, count_one, counts);
    assert_int_equal(atomic_exchange(&counts[0], 0), 1);
    pool_each(pool, 0, count_one, counts);
    check_counts(0);
    pool_wait(pool);
    pool_free(pool);
}

static void test_without_a_pool(void **state)
{
    pool_each(NULL, CALLS, count_one, counts);
    check_counts(1);
}

struct nesting {
    struct job job;
};

static void run_nesting(struct job *job)
{
    pool_each(pool, CALLS, nest, counts);
    free(job);
}

/* All threads call for help, and none waits for one that does. */
static void test_in_jobs(void **state)
{
    assert_int_equal(pool_new(THREADS, &pool), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        struct nesting *nesting = calloc(1, sizeof *nesting);
        assert_non_null(nesting);
        nesting->job.run = run_nesting;
        pool_put(pool, &nesting->job);
    }
    pool_wait(pool);
    check_counts(THREADS);
    assert_int_equal(atomic_load(&inner), THREADS * CALLS * INNER);
    pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_once),
        cmocka_unit_test(test_without_a_pool),
        cmocka_unit_test(test_one_ends_it),
        cmocka_unit_test(test_in_jobs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
