/* SPDX-License-Identifier: MIT */
#include "view/ahead.h"

#include "base/thread.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    /* Stripes of a file that may be made ahead, and the bytes that they may have. */
    STRIPES_MAX = 8,
    BYTES_MAX = 8 << 20,
    /* Requests of a reader come from several threads, and so not quite in order. */
    DISORDER = 2,
    /* Of all files. */
    THREADS_MAX = 64,
};

struct ahead {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct stripe_cache *cache;
    uint64_t stripes;
    unsigned most;  /* stripes that may be made ahead */
    uint64_t next;  /* behind the last stripe that was asked for */
    uint64_t begun; /* behind the last one that was made ahead */
    unsigned window;
    unsigned running;
};

struct errand {
    struct ahead *ahead;
    uint64_t stripe;
};

static atomic_uint threads;

int ahead_new(struct stripe_cache *cache, size_t entry_size, uint64_t stripes, struct ahead **ret)
{
    struct ahead *ahead = calloc(1, sizeof *ahead);

    if (!ahead)
        return -ENOMEM;
    pthread_mutex_init(&ahead->lock, NULL);
    pthread_cond_init(&ahead->ended, NULL);
    ahead->cache = cache;
    ahead->stripes = stripes;
    ahead->most =
        BYTES_MAX / entry_size < STRIPES_MAX ? (unsigned)(BYTES_MAX / entry_size) : STRIPES_MAX;
    stripe_cache_keep(cache, ahead->most);
    *ret = ahead;
    return 0;
}

void ahead_free(struct ahead *ahead)
{
    pthread_mutex_lock(&ahead->lock);
    while (ahead->running > 0)
        pthread_cond_wait(&ahead->ended, &ahead->lock);
    pthread_mutex_unlock(&ahead->lock);
    pthread_cond_destroy(&ahead->ended);
    pthread_mutex_destroy(&ahead->lock);
    free(ahead);
}

static void end_errand(struct errand *errand)
{
    struct ahead *ahead = errand->ahead;

    free(errand);
    atomic_fetch_sub(&threads, 1);
    pthread_mutex_lock(&ahead->lock);
    ahead->running--;
    pthread_cond_signal(&ahead->ended);
    pthread_mutex_unlock(&ahead->lock);
}

static void *run_errand(void *opaque)
{
    struct errand *errand = opaque;

    /* Errors are ignored: the read that needs the stripe makes it again, and reports them. */
    stripe_cache_read(errand->ahead->cache, errand->stripe, 0, 0, NULL);
    end_errand(errand);
    return NULL;
}

/* Has STRIPE made by a thread, if one is to be had. The lock is held. */
static void start(struct ahead *ahead, uint64_t stripe)
{
    struct errand *errand = malloc(sizeof *errand);

    if (!errand)
        return;
    *errand = (struct errand){ahead, stripe};
    if (atomic_fetch_add(&threads, 1) < THREADS_MAX && thread_start(run_errand, errand) == 0) {
        ahead->running++;
        return;
    }
    atomic_fetch_sub(&threads, 1);
    free(errand);
}

/* Widens the window for a reader who reads on from the last place, and closes it after a jump. */
static void follow(struct ahead *ahead, uint64_t first, uint64_t last)
{
    if (first > ahead->next + DISORDER || first + 1 + DISORDER < ahead->next) {
        ahead->window = 0;
        ahead->begun = 0;
        ahead->next = last + 1;
    } else if (last >= ahead->next) {
        if (ahead->next > 0)
            ahead->window = ahead->window == 0 ? 1 : 2 * ahead->window;
        ahead->next = last + 1;
    }
    if (ahead->window > ahead->most)
        ahead->window = ahead->most;
}

void ahead_note(struct ahead *ahead, uint64_t first, uint64_t last)
{
    pthread_mutex_lock(&ahead->lock);
    follow(ahead, first, last);
    uint64_t end = last + 1 + ahead->window;
    if (end > first + 1 + ahead->most)
        end = first + 1 + ahead->most;
    if (end > ahead->stripes)
        end = ahead->stripes;
    /* The reader that asks for the first one makes it. */
    if (ahead->begun < first + 1)
        ahead->begun = first + 1;
    while (ahead->begun < end && ahead->running < ahead->most)
        start(ahead, ahead->begun++);
    pthread_mutex_unlock(&ahead->lock);
}
