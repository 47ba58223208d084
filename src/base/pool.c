/* SPDX-License-Identifier: MIT */
#include "base/pool.h"

#include <pthread.h>
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
