/* SPDX-License-Identifier: MIT */
#include "restore/sweep.h"

#include "base/shortage.h"
#include "restore/examiner.h"

#include <pthread.h>

enum {
    PART_BYTES = 16 << 20, /* of blocks, that one thread reads at a time */
};

/* One sweep under way. */
struct sweeping {
    struct share_set *set;
    const struct sweep_depth *depth;
    struct share_layout layout;
    uint64_t end; /* stripes that are looked at */
    uint64_t part;
    bool apart;           /* stripes do not bear on each other */
    pthread_mutex_t lock; /* of: */
    struct sweep *result;
    uint64_t ahead; /* bytes that were added to the depth's */
    int error;
};

/* The finalizer of splitmix64 (Steele et al., 2014). */
static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

/* Returns true if a stripe is among those that are to be read; START is another number for each
 * file. */
static bool is_sampled(const struct sweep_depth *depth, uint64_t start, uint64_t stripe)
{
    uint64_t number = mix(mix(depth->seed + start) + stripe);

    return depth->part >= 1 || (double)(number >> 11) < depth->part * 0x1p53;
}

static uint64_t file_number(const struct share_set *set)
{
    return (uint64_t)share_set_copies((struct share_set *)set)->items[0].status.st_ino;
}

/* What came of one stripe; an error of its own is that it is lost. */
static void note(struct sweeping *sweeping, uint64_t stripe, int r, int spare)
{
    struct sweep *result = sweeping->result;

    pthread_mutex_lock(&sweeping->lock);
    if (is_shortage(r) || r == -ETIMEDOUT)
        sweeping->error = r;
    else if (r < 0)
        damage_add(&result->lost, stripe);
    result->bytes +=
        share_set_copies(sweeping->set)->count * layout_block_size(&sweeping->layout, stripe);
    if (spare < result->spare)
        result->spare = spare;
    if (sweeping->depth->ahead) {
        uint64_t size = layout_stripe_size(&sweeping->layout, stripe);
        atomic_fetch_add(sweeping->depth->ahead, size);
        sweeping->ahead += size;
    }
    pthread_mutex_unlock(&sweeping->lock);
}

static void fail(struct sweeping *sweeping, int error)
{
    pthread_mutex_lock(&sweeping->lock);
    sweeping->error = error;
    pthread_mutex_unlock(&sweeping->lock);
}

static bool goes_on(struct sweeping *sweeping)
{
    if (atomic_load(sweeping->depth->stop))
        fail(sweeping, -ECANCELED);
    pthread_mutex_lock(&sweeping->lock);
    bool on = sweeping->error == 0;
    pthread_mutex_unlock(&sweeping->lock);
    return on;
}

/* Returns false where the rest is needless. */
static bool run_part(void *context, uint64_t number)
{
    struct sweeping *sweeping = context;
    uint64_t first = number * sweeping->part, left = sweeping->end - first;
    uint64_t end = first + (left < sweeping->part ? left : sweeping->part);
    uint64_t start = file_number(sweeping->set);
    cleanup_examiner struct examiner *examiner = NULL;

    int r = examiner_new(sweeping->set, sweeping->apart, &examiner);
    if (r < 0)
        fail(sweeping, r);
    for (uint64_t stripe = first; stripe < end && goes_on(sweeping); stripe++) {
        int spare;
        if (!is_sampled(sweeping->depth, start, stripe))
            continue;
        r = examiner_run(examiner, stripe, &spare);
        note(sweeping, stripe, r, spare);
    }
    return goes_on(sweeping);
}

/* All stripes behind the end are lost, and bad in all copies. */
static void lose_end(struct sweeping *sweeping)
{
    struct copies *copies = share_set_copies(sweeping->set);
    uint64_t end = sweeping->end, stripes = layout_stripes(&sweeping->layout);

    if (end == stripes)
        return;
    damage_add_end(&sweeping->result->lost, end, stripes - 1);
    sweeping->result->spare = -1;
    for (size_t i = 0; i < copies->count; i++)
        damage_add_end(&copies->items[i].damage, end, stripes - 1);
}

/* All of the sweep has ended: who shows how far things are counts the file from here on. */
static void take_back_ahead(struct sweeping *sweeping)
{
    if (sweeping->depth->ahead)
        atomic_fetch_sub(sweeping->depth->ahead, sweeping->ahead);
    sweeping->ahead = 0;
}

/*
 * Goes through the stripes in order, as a reader does: if blocks contradict each other, one stripe
 * bears on the next.
 */
static int sweep_in_order(const struct sweeping *before, const struct sweep *start)
{
    struct sweeping sweeping = *before;

    sweeping.apart = false;
    sweeping.part = sweeping.end;
    damage_clear(&sweeping.result->lost);
    *sweeping.result = *start;
    share_set_forget_trust(sweeping.set);
    pthread_mutex_init(&sweeping.lock, NULL);
    run_part(&sweeping, 0);
    pthread_mutex_destroy(&sweeping.lock);
    take_back_ahead(&sweeping);
    share_set_forget_trust(sweeping.set); /* the next reader starts anew, and comes to the same */
    if (sweeping.error == 0)
        lose_end(&sweeping);
    return sweeping.error;
}

int sweep_run(struct share_set *set, const struct sweep_depth *depth, struct sweep *result)
{
    const struct share_layout *layout = &share_set_header(set)->layout;
    const struct copies *copies = share_set_copies(set);
    uint64_t block_size = layout_full_block_size(layout), at_once = PART_BYTES / block_size;
    const struct sweep start = {.spare = result->spare, .bytes = result->bytes};
    struct sweeping sweeping = {
        .set = set,
        .depth = depth,
        .layout = *layout,
        .end = share_set_present(set),
        .part = at_once > copies->count ? at_once / copies->count : 1,
        .apart = true,
        .result = result,
    };

    if (share_set_is_distant(set)) /* each stripe costs the time of the way: many at once, then */
        sweeping.part = 1;
    pthread_mutex_init(&sweeping.lock, NULL);
    pool_each(depth->pool, (sweeping.end - 1) / sweeping.part + 1, run_part, &sweeping);
    pthread_mutex_destroy(&sweeping.lock);
    take_back_ahead(&sweeping);
    if (sweeping.error == 0 && share_set_is_contested(set))
        return sweep_in_order(&sweeping, &start);
    if (sweeping.error == 0)
        lose_end(&sweeping);
    return sweeping.error;
}
