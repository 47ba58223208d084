/* SPDX-License-Identifier: MIT */
#include "view/stripe_cache.h"

#include "base/buffer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum {
    /* Two serve a reader whose read-ahead straddles a border; the others only come into being
     * when those are in use at the same time. */
    ENTRIES_KEPT = 2,
    ENTRIES_MAX = 16,
    /* Of all caches together, beside what is in use. */
    BYTES_KEPT = 64 << 20,
};

struct cached {
    struct buffer buffer;
    uint64_t stripe;
    uint64_t used;  /* the cache's clock when it was last asked for */
    unsigned users; /* its maker and the threads that copy from it */
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
    struct cached entries[ENTRIES_MAX];
    struct stripe_cache *next, *previous; /* in the circle of all */
    atomic_bool read;                     /* since the hand came by */
};

/*
 * A circle in which a hand goes round: caches that were read since it came by last are passed over.
 * A thread may take this lock while it holds a cache's; so its holder must not wait for a cache's.
 */
static struct {
    pthread_mutex_t lock;
    struct stripe_cache *hand; /* NULL: there are none */
    size_t count;
    size_t bytes; /* of all entries' buffers */
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void enlist(struct stripe_cache *cache)
{
    pthread_mutex_lock(&all.lock);
    struct stripe_cache *next = all.hand ? all.hand : cache;
    cache->next = next;
    cache->previous = all.hand ? next->previous : cache;
    cache->previous->next = next->previous = cache;
    all.hand = next;
    all.count++;
    pthread_mutex_unlock(&all.lock);
}

/* With the lock held, and that of the cache, or where no one else has it. */
static void give_up(struct cached *entry)
{
    all.bytes -= entry->buffer.size;
    buffer_give(&entry->buffer);
    entry->state = EMPTY;
}

static void strike(struct stripe_cache *cache)
{
    pthread_mutex_lock(&all.lock);
    for (size_t i = 0; i < ENTRIES_MAX; i++)
        give_up(&cache->entries[i]);
    cache->next->previous = cache->previous;
    cache->previous->next = cache->next;
    if (all.hand == cache)
        all.hand = cache->next == cache ? NULL : cache->next;
    all.count--;
    pthread_mutex_unlock(&all.lock);
}

/* What can be done without in the cache at the hand, unless someone is busy with it. */
static void clear_at_hand(void)
{
    struct stripe_cache *cache = all.hand;

    if (atomic_exchange(&cache->read, false) || pthread_mutex_trylock(&cache->lock) != 0)
        return;
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        if (cache->entries[i].users == 0)
            give_up(&cache->entries[i]);
    }
    pthread_mutex_unlock(&cache->lock);
}

/* Adds a buffer to what all have, and takes others where that is too much. */
static void count_in(const struct buffer *buffer)
{
    pthread_mutex_lock(&all.lock);
    all.bytes += buffer->size;
    for (size_t i = 0; i < 2 * all.count && all.bytes > BYTES_KEPT; i++) {
        clear_at_hand();
        all.hand = all.hand->next;
    }
    pthread_mutex_unlock(&all.lock);
}

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
    enlist(cache);
    *ret = cache;
    return 0;
}

void stripe_cache_keep(struct stripe_cache *cache, unsigned more)
{
    cache->kept += more;
}

void stripe_cache_free(struct stripe_cache *cache)
{
    strike(cache);
    pthread_cond_destroy(&cache->changed);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* The entry of this stripe, made or in the making. */
static struct cached *find(struct stripe_cache *cache, uint64_t stripe)
{
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        struct cached *entry = &cache->entries[i];
        if (entry->state != EMPTY && entry->stripe == stripe)
            return entry;
    }
    return NULL;
}

/*
 * Returns true if A can be done without rather than B: there is nothing in it, or no one is still
 * to come for it, or it is the older one.
 */
static bool is_older(const struct cached *a, const struct cached *b)
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
static struct cached *find_free(struct stripe_cache *cache)
{
    struct cached *oldest = NULL, *fresh = NULL;
    size_t buffers = 0;

    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        struct cached *entry = &cache->entries[i];
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
static int fill(struct stripe_cache *cache, struct cached *entry, uint64_t stripe)
{
    if (!entry->buffer.data) {
        int r = buffer_take(cache->entry_size, &entry->buffer);
        if (r < 0)
            return r;
        count_in(&entry->buffer);
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
static int enter(struct stripe_cache *cache, uint64_t stripe, struct cached **ret)
{
    for (;;) {
        struct cached *entry = find(cache, stripe);
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
 * Returns true if all of an entry is wanted that is not there: it can be made where it is wanted,
 * which saves a copy, and no one else will need it.
 */
static bool is_to_be_passed(struct stripe_cache *cache, uint64_t stripe, size_t size)
{
    return size == cache->entry_size && !find(cache, stripe);
}

int stripe_cache_read(struct stripe_cache *cache, uint64_t stripe, size_t from, size_t size,
                      uint8_t *data)
{
    struct cached *entry;

    atomic_store(&cache->read, true);
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
