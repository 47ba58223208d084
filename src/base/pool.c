/* SPDX-License-Identifier: MIT */
#include "base/pool.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/thread.h"

#include <stdatomic.h>

enum {
    TEAM_MAX = 16,    /* of a team of the process */
    HELPERS_MAX = 64, /* of all of them */
    IDLE_LIMIT = 10 * CLOCK_SECOND,
};

struct team {
    void (*body)(void *context);
    void *context;
    size_t wanted, helping; /* helpers that may still come, and that are there */
    pthread_cond_t left;
    struct team *next;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work; /* something is to be done, or the pool ends */
    pthread_cond_t done; /* nothing is to be done, or a thread has ended */
    struct job *jobs;
    struct team *teams; /* that have something to do, and of which some want helpers */
    size_t wanted;      /* helpers, by all teams */
    size_t most, threads, busy;
    bool ending;
};

/* The threads of the process, which come when they are wanted. */
static struct pool helpers = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .work = PTHREAD_COND_INITIALIZER,
    .done = PTHREAD_COND_INITIALIZER,
    .most = HELPERS_MAX,
};

/* Waits for something to do; false where nothing comes any more. The lock is held. */
static bool wait_for_work(struct pool *pool)
{
    struct timespec limit = clock_timespec(clock_now() + IDLE_LIMIT);
    int r = 0;

    while (!pool->jobs && pool->wanted == 0 && !pool->ending && r == 0)
        r = pool == &helpers
                ? pthread_cond_clockwait(&pool->work, &pool->lock, CLOCK_MONOTONIC, &limit)
                : pthread_cond_wait(&pool->work, &pool->lock);
    return pool->jobs || pool->wanted > 0;
}

static void *work_in(void *opaque)
{
    struct pool *pool = opaque;

    pthread_mutex_lock(&pool->lock);
    while (wait_for_work(pool)) {
        pool->busy++;
        if (pool->wanted > 0) { /* the newest team that wants help */
            struct team *team = pool->teams;
            while (team->wanted == 0)
                team = team->next;
            team->wanted--;
            pool->wanted--;
            team->helping++;
            pthread_mutex_unlock(&pool->lock);
            team->body(team->context);
            pthread_mutex_lock(&pool->lock);
            if (--team->helping == 0)
                pthread_cond_signal(&team->left);
        } else {
            struct job *job = pool->jobs;
            pool->jobs = job->next;
            pthread_mutex_unlock(&pool->lock);
            job->run(job);
            pthread_mutex_lock(&pool->lock);
        }
        if (--pool->busy == 0 && !pool->jobs)
            pthread_cond_broadcast(&pool->done);
    }
    pool->threads--;
    pthread_cond_broadcast(&pool->done);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Starts threads until IDLE have nothing to do, or no more can be had. The lock is held. */
static int start_threads(struct pool *pool, size_t idle)
{
    int r = 0;

    while (r == 0 && pool->threads < pool->most && pool->threads - pool->busy < idle) {
        r = thread_start(work_in, pool);
        pool->threads += r == 0;
    }
    return r;
}

int pool_new(unsigned threads, struct pool **ret)
{
    struct pool *pool = calloc(1, sizeof *pool);

    if (!pool)
        return -ENOMEM;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->most = threads;
    pthread_mutex_lock(&pool->lock);
    int r = start_threads(pool, threads);
    pool->most = pool->threads;
    pthread_mutex_unlock(&pool->lock);
    if (pool->most == 0) {
        pool_free(pool);
        return r;
    }
    *ret = pool;
    return 0;
}

void pool_put(struct pool *pool, struct job *job)
{
    HOLD(&pool->lock);
    job->next = pool->jobs;
    pool->jobs = job;
    pthread_cond_signal(&pool->work);
}

void pool_wait(struct pool *pool)
{
    HOLD(&pool->lock);
    while (pool->jobs || pool->busy > 0)
        pthread_cond_wait(&pool->done, &pool->lock);
}

void pool_free(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->work);
    while (pool->threads > 0)
        pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

void team_run(struct pool *pool, size_t size, void (*body)(void *context), void *context)
{
    struct team own = {.body = body, .context = context, .left = PTHREAD_COND_INITIALIZER};
    struct team *team = &own; /* which is in the list until it ends here */
    size_t most = pool ? pool->most : TEAM_MAX;

    if (size <= 1 || most <= 1) {
        body(context);
        return;
    }
    pool = pool ? pool : &helpers;
    team->wanted = (size < most ? size : most) - 1;
    pthread_mutex_lock(&pool->lock);
    team->next = pool->teams;
    pool->teams = team;
    pool->wanted += team->wanted;
    start_threads(pool, pool->wanted);
    for (size_t i = 0; i < team->wanted; i++)
        pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    body(context);

    /* Helpers that come after this are too late. */
    pthread_mutex_lock(&pool->lock);
    struct team **at = &pool->teams;
    while (*at != team)
        at = &(*at)->next;
    *at = team->next;
    pool->wanted -= team->wanted;
    while (team->helping > 0)
        pthread_cond_wait(&team->left, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_destroy(&team->left);
}

/* Calls that several threads share. */
struct loop {
    bool (*run)(void *context, uint64_t i);
    void *context;
    uint64_t count;
    atomic_uint_fast64_t next;
};

static void run_calls(void *opaque)
{
    struct loop *loop = opaque;
    uint64_t i;

    while ((i = atomic_fetch_add(&loop->next, 1)) < loop->count) {
        if (!loop->run(loop->context, i))
            atomic_store(&loop->next, loop->count);
    }
}

void pool_each(struct pool *pool, uint64_t count, bool (*run)(void *context, uint64_t i),
               void *context)
{
    struct loop loop = {.run = run, .context = context, .count = count};
    size_t most = pool ? pool->most : 1;

    team_run(pool, count < most ? (size_t)count : most, run_calls, &loop);
}
