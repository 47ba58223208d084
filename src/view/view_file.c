/* SPDX-License-Identifier: MIT */
#include "view/view_file.h"

#include "base/buffer.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/thread.h"
#include "view/status.h"

#include <pthread.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

enum {
    /* Two serve a reader whose read-ahead straddles a border. More are allocated only while those
     * are in use at the same time. */
    ENTRIES_KEPT = 2,
    ENTRIES_MAX = 16,
    /* Limit for all caches together, not counting entries in use. */
    BYTES_KEPT = 64 << 20,
    /* Limits for stripes of a file that are made ahead: their number, and their bytes. */
    AHEAD_MAX = 8,
    AHEAD_BYTES_MAX = 8 << 20,
    /* A reader's requests come through several threads, and so slightly out of order. */
    DISORDER = 2,
    /* Threads that make stripes ahead, for all files. */
    THREADS_MAX = 64,
    SEEK_LIMIT_S = 1, /* rough limit of a search for holes or data */
    SEEK_LOOKS = 64,  /* stripes between two checks of the clock */
};

struct cached {
    struct buffer buffer;
    uint64_t stripe;
    uint64_t used;  /* the cache's clock when it was last requested */
    unsigned users; /* its maker, and the threads that copy from it */
    bool copied;    /* someone has copied from it; if not, someone still will */
    enum { EMPTY, MAKING, READY } state;
};

struct stripe_cache {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* an entry became ready, empty or unused, or a thread ended */
    size_t entry_size;
    unsigned kept; /* entries that keep their buffers while they are not in use */
    stripe_maker *make;
    void *file;
    uint64_t clock;
    struct cached entries[ENTRIES_MAX];
    TAILQ_ENTRY(stripe_cache) others;
    atomic_bool read; /* since memory was last reclaimed */
    /* For making stripes ahead: */
    unsigned most;    /* limit of the window; 0: none are made */
    uint64_t stripes; /* of the file */
    uint64_t next;    /* after the last stripe that was requested */
    uint64_t begun;   /* after the last one that was made ahead */
    unsigned window;
    unsigned running; /* threads */
};

/*
 * Caches at the head give up memory first, unless they were read lately. A thread may take this
 * lock while it holds a cache's; so its holder must not wait for a cache's.
 */
static struct {
    pthread_mutex_t lock;
    TAILQ_HEAD(stripe_caches, stripe_cache) caches;
    size_t count;
    size_t bytes; /* of all entries' buffers together */
} all = {PTHREAD_MUTEX_INITIALIZER, TAILQ_HEAD_INITIALIZER(all.caches), 0, 0};

/* Call with this lock and the cache's held, or if nobody else has the cache. */
static void give_up_unused(struct stripe_cache *cache)
{
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        struct cached *entry = &cache->entries[i];
        if (entry->users > 0)
            continue;
        all.bytes -= entry->buffer.size;
        buffer_give(&entry->buffer);
        entry->state = EMPTY;
    }
}

/* Counts a new buffer, and drops others if there are too many. */
static void count_in(const struct buffer *buffer)
{
    HOLD(&all.lock);

    all.bytes += buffer->size;
    for (size_t i = 0; i < 2 * all.count && all.bytes > BYTES_KEPT; i++) {
        struct stripe_cache *cache = TAILQ_FIRST(&all.caches);
        TAILQ_REMOVE(&all.caches, cache, others);
        TAILQ_INSERT_TAIL(&all.caches, cache, others);
        if (!atomic_exchange(&cache->read, false) && pthread_mutex_trylock(&cache->lock) == 0) {
            give_up_unused(cache);
            pthread_mutex_unlock(&cache->lock);
        }
    }
}

int stripe_cache_new(size_t entry_size, uint64_t ahead, stripe_maker *make, void *file,
                     struct stripe_cache **ret)
{
    struct stripe_cache *cache = calloc(1, sizeof *cache);
    size_t fit = AHEAD_BYTES_MAX / entry_size;

    if (!cache)
        return -ENOMEM;
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->changed, NULL);
    cache->entry_size = entry_size;
    cache->stripes = ahead;
    if (ahead > 0)
        cache->most = fit < AHEAD_MAX ? (unsigned)fit : AHEAD_MAX;
    cache->kept = ENTRIES_KEPT + cache->most;
    cache->make = make;
    cache->file = file;
    HOLD(&all.lock);
    TAILQ_INSERT_TAIL(&all.caches, cache, others);
    all.count++;
    *ret = cache;
    return 0;
}

void stripe_cache_free(struct stripe_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    while (cache->running > 0)
        pthread_cond_wait(&cache->changed, &cache->lock);
    pthread_mutex_unlock(&cache->lock);
    pthread_mutex_lock(&all.lock);
    give_up_unused(cache);
    TAILQ_REMOVE(&all.caches, cache, others);
    all.count--;
    pthread_mutex_unlock(&all.lock);
    pthread_cond_destroy(&cache->changed);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* Returns the entry of this stripe, made or being made. */
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
 * Returns true if A should be reused before B: it is empty, nobody is still expected to read it, or
 * it is older.
 */
static bool is_older(const struct cached *a, const struct cached *b)
{
    if ((a->state == EMPTY) != (b->state == EMPTY))
        return a->state == EMPTY;
    return a->copied != b->copied ? a->copied : a->used < b->used;
}

/*
 * Returns an unused entry to fill: an empty one with a buffer; or, while few have buffers, one
 * without; or the least recently requested; or any. NULL: all are in use.
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

/* Has the stripe made in ENTRY; releases the lock meanwhile. */
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

int stripe_cache_read(struct stripe_cache *cache, uint64_t stripe, size_t from, size_t size,
                      uint8_t *data)
{
    atomic_store(&cache->read, true);
    pthread_mutex_lock(&cache->lock);
    struct cached *entry = find(cache, stripe);
    if (!entry && size == cache->entry_size) {
        /* The whole stripe is wanted: making it in place saves a copy, and nobody else will need
         * it. */
        pthread_mutex_unlock(&cache->lock);
        return cache->make(cache->file, stripe, data);
    }
    while ((!entry && !(entry = find_free(cache))) || entry->state == MAKING) {
        pthread_cond_wait(&cache->changed, &cache->lock);
        entry = find(cache, stripe);
    }
    entry->users++;
    bool there = entry->state == READY && entry->stripe == stripe;
    int r = there ? 0 : fill(cache, entry, stripe);
    if (r == 0) {
        entry->used = ++cache->clock;
        pthread_mutex_unlock(&cache->lock);
        if (size > 0)
            memcpy(data, entry->buffer.data + from, size);
        pthread_mutex_lock(&cache->lock);
        entry->copied |= size > 0;
    }
    if (--entry->users == 0)
        pthread_cond_broadcast(&cache->changed);
    pthread_mutex_unlock(&cache->lock);
    return r;
}

struct errand {
    struct stripe_cache *cache;
    uint64_t stripe;
};

static atomic_uint threads;

static void *run_errand(void *opaque)
{
    struct errand *errand = opaque;
    struct stripe_cache *cache = errand->cache;

    /* Errors are ignored: the read that needs the stripe makes it again, and reports them. */
    stripe_cache_read(cache, errand->stripe, 0, 0, NULL);
    free(errand);
    atomic_fetch_sub(&threads, 1);
    pthread_mutex_lock(&cache->lock);
    cache->running--;
    pthread_cond_broadcast(&cache->changed);
    pthread_mutex_unlock(&cache->lock);
    return NULL;
}

/* Has a thread make STRIPE, if one is available. Call with the lock held. */
static void make_ahead(struct stripe_cache *cache, uint64_t stripe)
{
    struct errand *errand = malloc(sizeof *errand);

    if (!errand)
        return;
    *errand = (struct errand){cache, stripe};
    if (atomic_fetch_add(&threads, 1) < THREADS_MAX && thread_start(run_errand, errand) == 0) {
        cache->running++;
        return;
    }
    atomic_fetch_sub(&threads, 1);
    free(errand);
}

void stripe_cache_expect(struct stripe_cache *cache, uint64_t first, uint64_t last)
{
    if (cache->most == 0)
        return;
    HOLD(&cache->lock);
    /* The window widens while reads are sequential, and closes after a jump. */
    if (first > cache->next + DISORDER || first + 1 + DISORDER < cache->next) {
        cache->window = 0;
        cache->begun = 0;
        cache->next = last + 1;
    } else if (last >= cache->next) {
        if (cache->next > 0)
            cache->window = cache->window == 0 ? 1 : 2 * cache->window;
        cache->next = last + 1;
    }
    if (cache->window > cache->most)
        cache->window = cache->most;
}

void stripe_cache_begin(struct stripe_cache *cache, uint64_t first, uint64_t last)
{
    if (cache->most == 0)
        return;
    HOLD(&cache->lock);
    uint64_t end = last + 1 + cache->window;
    if (end > first + 1 + cache->most)
        end = first + 1 + cache->most;
    if (end > cache->stripes)
        end = cache->stripes;
    /* The reader of the first stripe makes it. */
    if (cache->begun < first + 1)
        cache->begun = first + 1;
    while (cache->begun < end && cache->running < cache->most)
        make_ahead(cache, cache->begun++);
}

/* Makes what is cached of a stripe: the stripe itself, or the share's block of it. */
static int make_piece(void *opaque, uint64_t stripe, uint8_t *piece)
{
    const struct view_file *file = opaque;
    const struct share_layout *layout = &file->source->header.layout;
    cleanup_buffer struct buffer whole = NO_BUFFER;
    uint8_t digest[HASH_SIZE];

    int r = file->encoder
                ? buffer_take(layout_payload_size(layout, stripe) * layout->required, &whole)
                : 0;
    if (r == 0)
        r = file->source->operations->read_stripe(file->source, stripe,
                                                  file->encoder ? whole.data : piece, digest);
    if (r < 0)
        return r;
    bool zeros = r == SOURCE_ZEROS;
    if (file->encoder)
        return zeros ? encoder_run_zeros(file->encoder, stripe, &piece)
                     : encoder_run(file->encoder, stripe, whole.data, digest, &piece);
    if (zeros)
        memset(piece, 0, layout_stripe_size(layout, stripe));
    return 0;
}

/* Lays out the share of INDEX, without extensions, and makes its header. */
static int show_share(struct view_file *file, uint8_t index)
{
    struct share_header header = file->source->header;

    header.layout = header_plain_layout(&file->source->header);
    header.index = index;
    if (formats[header.layout.format]->has_total && index >= header.total) {
        log_error("share %02x: its files were encoded as %u shares; there is no such share", index,
                  header.total);
        return -EIO;
    }
    header_write(&header, file->header);
    header_file_time(&header, index, &file->status.st_mtim);
    file->header_size = (size_t)header.layout.header_size;
    file->piece_size = layout_full_block_size(&header.layout);
    file->size = layout_share_size(&header.layout);
    status_set_size(&file->status, file->size);
    return header.layout.source_size == 0 ? 0
                                          : encoder_new(&header.layout, 1, &index, &file->encoder);
}

int view_file_new(struct source_file *source, int share, struct view_file **ret)
{
    const struct share_layout *layout = &source->header.layout;
    cleanup_view_file struct view_file *file = calloc(1, sizeof *file);

    if (!file)
        return -ENOMEM;
    file->source = source;
    file->status = source->status;
    file->status.st_ino =
        status_inode(source->status.st_dev, source->status.st_ino, share < 0 ? 0 : (unsigned)share);
    file->content = source->content;
    file->size = layout->source_size;
    file->piece_size = layout_full_stripe_size(layout);
    int r = share < 0 ? 0 : show_share(file, (uint8_t)share);
    if (r == 0 && layout->source_size > 0) {
        size_t room = share < 0 ? layout_payload_size(layout, 0) * layout->required
                                : layout_block_size(layout, 0);
        r = stripe_cache_new(room, source->distant ? layout_stripes(layout) : 0, make_piece, file,
                             &file->pieces);
    }
    if (r < 0) {
        file->source = NULL; /* stays the caller's */
        return r;
    }
    *ret = steal_pointer(file);
    return 0;
}

void view_close(struct view_file *file)
{
    if (file->pieces)
        stripe_cache_free(file->pieces);
    if (file->encoder)
        encoder_free(file->encoder);
    if (file->source)
        source_close(file->source);
    free(file);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Returns the stripe whose piece contains byte AT, or is the first after it. */
static uint64_t stripe_at(const struct view_file *file, uint64_t at)
{
    return at < file->header_size ? 0 : (at - file->header_size) / file->piece_size;
}

int view_read(struct view_file *file, uint64_t offset, size_t size, uint8_t *data, size_t *ret)
{
    size_t done = 0, part;
    int r = 0;

    if (offset >= file->size)
        size = 0;
    else if (size > file->size - offset)
        size = (size_t)(file->size - offset);
    if (file->pieces && size > 0)
        stripe_cache_expect(file->pieces, stripe_at(file, offset),
                            stripe_at(file, offset + size - 1));
    for (; r == 0 && done < size; done += part) {
        uint64_t at = offset + done, stripe = stripe_at(file, at);
        if (file->pieces)
            stripe_cache_begin(file->pieces, stripe, stripe_at(file, offset + size - 1));
        if (at < file->header_size) {
            part = least(file->header_size - (size_t)at, size - done);
            memcpy(data + done, file->header + at, part);
        } else {
            size_t from = (size_t)(at - file->header_size - stripe * file->piece_size);
            part = least(file->piece_size - from, size - done);
            r = file->pieces ? stripe_cache_read(file->pieces, stripe, from, part, data + done)
                             : -EIO;
        }
    }
    if (r == 0)
        *ret = done;
    return r;
}

/* A search that takes long ends by reporting data, which is never wrong. */
int view_seek(struct view_file *file, uint64_t offset, int whence, uint64_t *ret)
{
    bool (*is_hole)(struct source_file *, uint64_t) = file->source->operations->is_hole;
    uint64_t first = offset / file->piece_size, stripe = first;
    uint64_t end = layout_stripes(&file->source->header.layout);
    bool hole = whence == SEEK_HOLE, late = false;
    time_t limit = time(NULL) + SEEK_LIMIT_S;

    if (file->header_size > 0 || !is_hole)
        return -ENOSYS;
    if (offset >= file->size)
        return -ENXIO;
    while (stripe < end && !late && is_hole(file->source, stripe) != hole)
        late = ++stripe % SEEK_LOOKS == 0 && time(NULL) > limit;
    if (late && hole)
        stripe = end;
    if (stripe == end && !hole)
        return -ENXIO;
    *ret = stripe == end ? file->size : stripe == first ? offset : stripe * file->piece_size;
    return 0;
}
