/* SPDX-License-Identifier: MIT */
#include "base/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    struct job *jobs;
    unsigned busy; /* threads with a job */
    bool ending;
    unsigned count;
    pthread_t threads[];
};

/* With the lock held; NULL at the pool's end. */
static struct job *take(struct pool *pool)
{
    while (!pool->jobs && !pool->ending)
        pthread_cond_wait(&pool->work, &pool->lock);
    struct job *job = pool->jobs;
    if (job)
        pool->jobs = job->next;
    return job;
}

static void *work(void *opaque)
{
    struct pool *pool = opaque;
    struct job *job;

    pthread_mutex_lock(&pool->lock);
    while ((job = take(pool))) {
        pool->busy++;
        pthread_mutex_unlock(&pool->lock);
        job->run(job);
        pthread_mutex_lock(&pool->lock);
        if (--pool->busy == 0 && !pool->jobs)
            pthread_cond_broadcast(&pool->done);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

int pool_new(unsigned threads, struct pool **ret)
{
    struct pool *pool = calloc(1, sizeof *pool + threads * sizeof(pthread_t));
    int r = 0;

    if (!pool)
        return -ENOMEM;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    while (pool->count < threads && r == 0) {
        r = -pthread_create(&pool->threads[pool->count], NULL, work, pool);
        pool->count += r == 0;
    }
    if (pool->count == 0) {
        pool_free(pool);
        return r;
    }
    *ret = pool;
    return 0;
}

void pool_put(struct pool *pool, struct job *job)
{
    pthread_mutex_lock(&pool->lock);
    job->next = pool->jobs;
    pool->jobs = job;
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

/* Calls that several threads share. */
struct loop {
    bool (*run)(void *context, uint64_t i);
    void *context;
    uint64_t count;
    atomic_uint_fast64_t next;
    atomic_uint holders;
    pthread_mutex_t lock;
    pthread_cond_t left;
    unsigned helpers; /* threads that help now */
    bool ended;       /* who comes now comes too late */
};

struct loop_job {
    struct job job;
    struct loop *loop;
};

static void run_calls(struct loop *loop)
{
    uint64_t i;

    while ((i = atomic_fetch_add(&loop->next, 1)) < loop->count) {
        if (!loop->run(loop->context, i))
            atomic_store(&loop->next, loop->count);
    }
}

static void loop_release(struct loop *loop)
{
    if (atomic_fetch_sub(&loop->holders, 1) > 1)
        return;
    pthread_cond_destroy(&loop->left);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

static void help(struct job *opaque)
{
    struct loop *loop = ((struct loop_job *)opaque)->loop;

    free(opaque);
    pthread_mutex_lock(&loop->lock);
    bool in_time = !loop->ended;
    loop->helpers += in_time;
    pthread_mutex_unlock(&loop->lock);
    if (in_time) {
        run_calls(loop);
        pthread_mutex_lock(&loop->lock);
        loop->helpers--;
        pthread_cond_signal(&loop->left);
        pthread_mutex_unlock(&loop->lock);
    }
    loop_release(loop);
}

static void call_for_help(struct pool *pool, struct loop *loop)
{
    for (unsigned i = 1; i < pool->count && i < loop->count; i++) {
        struct loop_job *job = malloc(sizeof *job);
        if (!job)
            return;
        *job = (struct loop_job){{.run = help}, loop};
        atomic_fetch_add(&loop->holders, 1);
        pool_put(pool, &job->job);
    }
}

static void wait_for_helpers(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->ended = true;
    while (loop->helpers > 0)
        pthread_cond_wait(&loop->left, &loop->lock);
    pthread_mutex_unlock(&loop->lock);
}

void pool_each(struct pool *pool, uint64_t count, bool (*run)(void *context, uint64_t i),
               void *context)
{
    struct loop *loop = pool && count > 1 ? calloc(1, sizeof *loop) : NULL;

    if (!loop) { /* alone, then */
        for (uint64_t i = 0; i < count && run(context, i); i++) {
        }
        return;
    }
    *loop = (struct loop){.run = run, .context = context, .count = count, .holders = 1};
    pthread_mutex_init(&loop->lock, NULL);
    pthread_cond_init(&loop->left, NULL);
    call_for_help(pool, loop);
    run_calls(loop);
    wait_for_helpers(loop);
    loop_release(loop);
}

void pool_wait(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->jobs || pool->busy > 0)
        pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void pool_free(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
