/* SPDX-License-Identifier: MIT */
#include "view/share_set.h"

#include "base/log.h"
#include "base/zeros.h"
#include "choice/vote.h"
#include "share/block.h"
#include "view/stripe_reading.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
    /* Stripes that are looked at for zeros, of files that have so many stripes or more. */
    SAMPLES = 8,
    SAMPLED_MIN = 64,
    BLOCKS_LEAST = 8,
};

struct share_set {
    char *path;
    struct share_terms terms;
    struct copies *copies;
    struct version version;
    bool has_version;
    unsigned rank;
    pthread_mutex_t late_lock; /* taken before the other one, to wait for: */
    struct inquiry late;       /* looks of which some are pending */
    pthread_mutex_t lock;      /* of what reading teaches about the copies, and of: */
    bool partial;              /* there are such looks */
    struct damage lost;        /* stripes that could not be restored */
    struct history history;
};

/* Says which stores have another version than the chosen one. */
static void log_stale(const struct share_set *set)
{
    for (size_t i = 0; i < set->copies->count; i++) {
        const struct copy *copy = &set->copies->items[i];
        if (!copy->facts.has_header)
            log_once("%s: store %s: the header is damaged", set->path, store_name(copy->store));
        else if (!version_is_same(&copy->facts.header, &set->version.header))
            log_once("%s: store %s has another version (%s)", set->path, store_name(copy->store),
                     copy->facts.header.mtime_ns < set->version.header.mtime_ns
                         ? "older"
                         : "newer, or of another size");
    }
}

/* Which version the copies give, and the roles of those from FIRST on. */
static int choose_roles(const struct share_set *set, size_t first, struct version *ret)
{
    size_t count = set->copies->count;
    cleanup_free struct copy_facts *facts = calloc(count, sizeof *facts);
    cleanup_free enum copy_role *roles = calloc(count, sizeof *roles);

    if (!facts || !roles)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        facts[i] = set->copies->items[i].facts;
    int r = version_choose(facts, count, set->rank, ret, roles);
    for (size_t i = first; r == 0 && i < count; i++)
        set->copies->items[i].role = roles[i];
    return r;
}

static int choose(struct share_set *set)
{
    int r = choose_roles(set, 0, &set->version);

    if (r == -ENOMEM)
        return r;
    set->has_version = r == 0;
    if (set->has_version)
        history_begin(&set->history, layout_stripes(&set->version.header.layout),
                      set->version.header.layout.required, set->copies->room);
    return 0;
}

int share_set_new(const struct inquiry *looks, const struct share_terms *terms, const char *path,
                  unsigned rank, struct share_set **ret)
{
    struct share_set *set = calloc(1, sizeof *set);

    if (!set)
        return -ENOMEM;
    pthread_mutex_init(&set->late_lock, NULL);
    pthread_mutex_init(&set->lock, NULL);
    history_init(&set->history);
    set->terms = *terms;
    set->rank = rank;
    set->path = strdup(path);
    int r = set->path ? copies_new(looks, terms, path, &set->copies) : -ENOMEM;
    if (r == 0)
        r = choose(set);
    if (r < 0) {
        share_set_free(set);
        return r;
    }
    *ret = set;
    return 0;
}

void share_set_keep_looks(struct share_set *set, struct inquiry *looks)
{
    if (looks->pending == 0)
        return;
    set->late = *looks;
    set->partial = true;
    *looks = NO_INQUIRY;
}

/* Adds the copies of stores that were late. The version stays: that it is right was settled. */
static int add_late(struct share_set *set)
{
    size_t before = set->copies->count;
    struct version version = set->version;

    int r = copies_add_late(set->copies, &set->late, &set->terms, set->path);
    if (r == 0)
        r = choose_roles(set, before, &version);
    if (r == 0 && !version_is_same(&version.header, &set->version.header)) {
        for (size_t i = before; i < set->copies->count; i++)
            set->copies->items[i].role = COPY_USELESS;
    }
    set->partial = false;
    return r;
}

static int wait_for_late(struct share_set *set)
{
    int r = 0;

    pthread_mutex_lock(&set->late_lock);
    if (set->late.list) {
        inquiry_complete(&set->late);
        pthread_mutex_lock(&set->lock);
        r = add_late(set);
        pthread_mutex_unlock(&set->lock);
        inquiry_clear(&set->late);
    }
    pthread_mutex_unlock(&set->late_lock);
    return r;
}

static void log_range(const struct share_set *set, const struct damage *damage, const char *where,
                      const char *what)
{
    uint64_t size = damage_size(damage);

    if (size > 1)
        log_once("%s: %s%llu stripes from %llu to %llu %s", set->path, where,
                 (unsigned long long)size, (unsigned long long)damage->ranges[0].first,
                 (unsigned long long)damage->ranges[damage->count - 1].last, what);
}

/* What was found first was logged then; here is all of it, where there was more. */
static void log_damage(const struct share_set *set)
{
    for (size_t i = 0; i < set->copies->count; i++) {
        const struct copy *copy = &set->copies->items[i];
        cleanup_free char *where = NULL;
        if (copy->role != COPY_HELPER && copy->damage.count > 0 &&
            asprintf(&where, "store %s: ", store_name(copy->store)) >= 0)
            log_range(set, &copy->damage, where, "were bad");
    }
    log_range(set, &set->lost, "", "could not be restored");
}

void share_set_free(struct share_set *set)
{
    if (set->copies) {
        log_damage(set);
        copies_free(set->copies);
    }
    inquiry_clear(&set->late);
    damage_clear(&set->lost);
    history_clear(&set->history);
    pthread_mutex_destroy(&set->lock);
    pthread_mutex_destroy(&set->late_lock);
    free(set->path);
    free(set);
}

bool share_set_is_whole(struct share_set *set)
{
    pthread_mutex_lock(&set->lock);
    bool whole = !set->partial && set->lost.count == 0 && !atomic_load(&set->history.contested);
    pthread_mutex_unlock(&set->lock);
    return whole;
}

bool share_set_is_sound(struct share_set *set)
{
    bool sound = share_set_is_whole(set);

    pthread_mutex_lock(&set->lock);
    for (size_t i = 0; i < set->copies->count; i++) {
        const struct copy *copy = &set->copies->items[i];
        sound = sound && copy->damage.count == 0 && !copy->failing && !copy->forged;
    }
    pthread_mutex_unlock(&set->lock);
    return sound;
}

size_t share_set_size(const struct share_set *set)
{
    return sizeof *set + strlen(set->path) + 1 + sizeof *set->copies +
           set->copies->room * sizeof(struct copy) + history_size(&set->history);
}

const struct share_header *share_set_header(const struct share_set *set)
{
    return set->has_version ? &set->version.header : NULL;
}

bool share_set_is_hole(const struct share_set *set, uint64_t stripe)
{
    const struct share_layout *layout = &set->version.header.layout;
    uint8_t zero_digest[HASH_SIZE], digest[HASH_SIZE];
    const uint8_t *data = zeros();
    bool seen[256] = {false};
    unsigned shares = 0;

    if (layout->format != SHARE_CHECKED || !data)
        return false;
    for (size_t i = 0; i < set->copies->count && shares < layout->required; i++) {
        const struct copy *copy = &set->copies->items[i];
        if (copy->role != COPY_MEMBER || seen[copy->facts.header.index])
            continue;
        uint64_t offset = layout_block_offset(&copy->facts.header.layout, stripe);
        if (copy_read_now(copy, offset, sizeof digest, digest) < 0)
            continue;
        if (shares == 0)
            stripe_digest(data, layout_stripe_size(layout, stripe), stripe, zero_digest);
        if (memcmp(digest, zero_digest, HASH_SIZE) != 0)
            return false;
        seen[copy->facts.header.index] = true;
        shares++;
    }
    return shares == layout->required;
}

/*
 * The blocks of 512 bytes that are data, by a look at some stripes. Programs look for holes in a
 * file only where it has fewer blocks than it is long; none at all would say that there is no data.
 */
static uint64_t guess_blocks(const struct share_set *set, uint64_t size)
{
    uint64_t blocks = size / 512 + (size % 512 > 0);
    uint64_t stripes = layout_stripes(&set->version.header.layout);
    unsigned holes = 0;

    if (stripes < SAMPLED_MIN)
        return blocks;
    uint64_t step = stripes / SAMPLES;
    for (unsigned i = 0; i < SAMPLES; i++)
        holes += share_set_is_hole(set, step * i + step / 2);
    return holes == SAMPLES
               ? BLOCKS_LEAST
               : blocks / SAMPLES * (SAMPLES - holes) + (holes == 0 ? blocks % SAMPLES : 0);
}

void share_set_status(const struct share_set *set, struct stat *ret)
{
    size_t count = set->copies->count;
    cleanup_free struct ballot *ballots = calloc(count, sizeof *ballots);

    *ret = set->copies->items[0].status;
    for (size_t i = 0; ballots && i < count; i++) {
        const struct copy *copy = &set->copies->items[i];
        ballots[i].cast = !set->has_version || copy->role == COPY_MEMBER;
        ballots[i].status = copy->status;
        ballots[i].slow = copy->slow;
    }
    if (ballots)
        vote_status(ballots, count, ret);
    uint64_t size = set->has_version ? set->version.header.layout.source_size : 0;
    ret->st_size = (off_t)size;
    ret->st_blocks = size > 0 ? (blkcnt_t)guess_blocks(set, size) : 0;
}

int share_set_check(const struct share_set *set)
{
    if (!set->has_version) {
        log_error("%s: none of %zu copies is a share with an intact header (is format= right?)",
                  set->path, set->copies->count);
        return -EIO;
    }
    log_stale(set);
    if (set->version.tied) {
        log_error("%s: the stores have two versions, and nothing tells which is right", set->path);
        return -EIO;
    }
    bool seen[256] = {false};
    unsigned shares = 0, required = set->version.header.layout.required;
    for (size_t i = 0; i < set->copies->count; i++) {
        const struct copy *copy = &set->copies->items[i];
        if (copy->role == COPY_USELESS || (copy->index >= 0 && seen[copy->index]))
            continue;
        if (copy->index >= 0)
            seen[copy->index] = true;
        shares++;
    }
    if (shares < required) {
        log_error("%s: %u different shares of %zu copies found, %u needed", set->path, shares,
                  set->copies->count, required);
        return -EIO;
    }
    return 0;
}

bool share_set_is_distant(const struct share_set *set)
{
    bool distant = false;

    for (size_t i = 0; i < set->copies->count; i++)
        distant |= store_is_remote(set->copies->items[i].store);
    return distant;
}

struct copies *share_set_copies(struct share_set *set)
{
    return set->copies;
}

void share_set_begin_reading(struct share_set *set, uint64_t stripe, uint8_t *data,
                             struct stripe_reading *ret)
{
    pthread_mutex_lock(&set->lock);
    bool partial = set->partial;
    pthread_mutex_unlock(&set->lock);
    *ret = (struct stripe_reading){
        .partial = partial,
        .path = set->path,
        .version = &set->version.header,
        .stripe = stripe,
        .copies = set->copies,
        .lock = &set->lock,
        .history = &set->history,
        .data = data,
    };
}

int share_set_end_reading(struct share_set *set, const struct stripe_reading *reading, int r)
{
    const struct share_layout *layout = &reading->version->layout;

    if (r == 0 || r == -ENOMEM)
        return r;
    pthread_mutex_lock(&set->lock);
    bool is_news = set->lost.count == 0;
    damage_add(&set->lost, reading->stripe);
    pthread_mutex_unlock(&set->lock);
    if (!is_news)
        return -EIO;
    uint64_t start = reading->stripe * layout_full_stripe_size(layout);
    log_error("%s: bytes %llu to %llu cannot be restored: %s", set->path, (unsigned long long)start,
              (unsigned long long)(start + layout_stripe_size(layout, reading->stripe) - 1),
              r == -EBADMSG ? "the shares contradict each other" : "too few good blocks");
    return -EIO;
}

int share_set_read_stripe(struct share_set *set, uint64_t stripe, uint8_t *data)
{
    struct stripe_reading reading;

    share_set_begin_reading(set, stripe, data, &reading);
    int r = stripe_reading_run(&reading);
    if (r == -EAGAIN) {
        r = wait_for_late(set);
        share_set_begin_reading(set, stripe, data, &reading);
        r = r < 0 ? r : stripe_reading_run(&reading);
    }
    return share_set_end_reading(set, &reading, r);
}
