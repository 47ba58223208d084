/* SPDX-License-Identifier: MIT */
#include "view/stripe_cache.h"

#include "base/buffer.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

enum {
    /* Two serve a reader whose read-ahead straddles a border; the others only come into being
     * when those are in use at the same time. */
    ENTRIES_KEPT = 2,
    ENTRIES_MAX = 16,
};

struct entry {
    struct buffer buffer;
    uint64_t stripe;
    uint64_t used;  /* the cache's clock when it was last asked for */
    unsigned users; /* its maker and those who copy from it */
    bool copied;    /* someone has copied from it; otherwise someone is still to come */
    enum { EMPTY, MAKING, READY } state;
};

struct stripe_cache {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* an entry became ready, empty or free */
    size_t entry_size;
    unsigned kept; /* entries that have buffers also when they are not in use */
    stripe_maker *make;
    void *file;
    uint64_t clock;
    struct entry entries[ENTRIES_MAX];
};

int stripe_cache_new(size_t entry_size, stripe_maker *make, void *file, struct stripe_cache **ret)
{
    struct stripe_cache *cache = calloc(1, sizeof *cache);

    if (!cache)
        return -ENOMEM;
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->changed, NULL);
    cache->entry_size = entry_size;
    cache->kept = ENTRIES_KEPT;
    cache->make = make;
    cache->file = file;
    *ret = cache;
    return 0;
}

void stripe_cache_keep(struct stripe_cache *cache, unsigned more)
{
    cache->kept += more;
}

void stripe_cache_free(struct stripe_cache *cache)
{
    for (size_t i = 0; i < ENTRIES_MAX; i++)
        buffer_give(&cache->entries[i].buffer);
    pthread_cond_destroy(&cache->changed);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* The entry of this stripe, made or in the making. */
static struct entry *find(struct stripe_cache *cache, uint64_t stripe)
{
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        struct entry *entry = &cache->entries[i];
        if (entry->state != EMPTY && entry->stripe == stripe)
            return entry;
    }
    return NULL;
}

/*
 * Whether A can be done without rather than B: there is nothing in it, or no one is still to come
 * for it, or it is the older one.
 */
static bool is_older(const struct entry *a, const struct entry *b)
{
    if ((a->state == EMPTY) != (b->state == EMPTY))
        return a->state == EMPTY;
    return a->copied != b->copied ? a->copied : a->used < b->used;
}

/*
 * An entry that no one uses, to be filled anew: one with a buffer and nothing in it; or, as long
 * as few have buffers, one without; or that which was not asked for the longest; or any. NULL
 * where all are in use.
 */
static struct entry *find_free(struct stripe_cache *cache)
{
    struct entry *oldest = NULL, *fresh = NULL;
    size_t buffers = 0;

    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        struct entry *entry = &cache->entries[i];
        buffers += entry->buffer.data != NULL;
        if (entry->users > 0)
            continue;
        if (!entry->buffer.data)
            fresh = entry;
        else if (!oldest || is_older(entry, oldest))
            oldest = entry;
    }
    if (oldest && (oldest->state == EMPTY || buffers >= cache->kept || !fresh))
        return oldest;
    return fresh;
}

/* Has the stripe made, with the lock let go meanwhile. */
static int fill(struct stripe_cache *cache, struct entry *entry, uint64_t stripe)
{
    if (!entry->buffer.data) {
        int r = buffer_take(cache->entry_size, &entry->buffer);
        if (r < 0)
            return r;
    }
    entry->stripe = stripe;
    entry->state = MAKING;
    entry->copied = false;
    pthread_mutex_unlock(&cache->lock);
    int r = cache->make(cache->file, stripe, entry->buffer.data);
    pthread_mutex_lock(&cache->lock);
    entry->state = r == 0 ? READY : EMPTY;
    pthread_cond_broadcast(&cache->changed);
    return r;
}

/* Takes part in an entry that holds the stripe; it is the caller's to leave. */
static int enter(struct stripe_cache *cache, uint64_t stripe, struct entry **ret)
{
    for (;;) {
        struct entry *entry = find(cache, stripe);
        if (entry && entry->state == READY) {
            entry->users++;
            *ret = entry;
            return 0;
        }
        if (!entry && (entry = find_free(cache))) {
            entry->users++;
            int r = fill(cache, entry, stripe);
            if (r < 0) {
                entry->users--;
                return r;
            }
            *ret = entry;
            return 0;
        }
        pthread_cond_wait(&cache->changed, &cache->lock);
    }
}

/*
 * Whether all of an entry is wanted that is not there: it can be made where it is wanted, which
 * saves a copy, and no one else will need it.
 */
static bool is_to_be_passed(struct stripe_cache *cache, uint64_t stripe, size_t size)
{
    return size == cache->entry_size && !find(cache, stripe);
}

int stripe_cache_read(struct stripe_cache *cache, uint64_t stripe, size_t from, size_t size,
                      uint8_t *data)
{
    struct entry *entry;

    pthread_mutex_lock(&cache->lock);
    if (is_to_be_passed(cache, stripe, size)) {
        pthread_mutex_unlock(&cache->lock);
        return cache->make(cache->file, stripe, data);
    }
    int r = enter(cache, stripe, &entry);
    if (r == 0) {
        entry->used = ++cache->clock;
        pthread_mutex_unlock(&cache->lock);
        if (size > 0)
            memcpy(data, entry->buffer.data + from, size);
        pthread_mutex_lock(&cache->lock);
        entry->copied |= size > 0;
        if (--entry->users == 0)
            pthread_cond_broadcast(&cache->changed);
    }
    pthread_mutex_unlock(&cache->lock);
    return r;
}
