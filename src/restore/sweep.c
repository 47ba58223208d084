/* SPDX-License-Identifier: MIT */
#include "restore/sweep.h"

#include "base/lock.h"
#include "base/shortage.h"
#include "restore/reading.h"
#include "restore/spare.h"
#include "share/stripe.h"

#include <string.h>

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

/* Reads all blocks of one stripe after the other: which of them are what they should be. */
struct examiner {
    const struct sweeping *sweeping;
    int *have; /* the share that each copy has a block of, as spare.h has it */
    struct buffer stripe;
    unsigned count;       /* of the shares that the encoder makes */
    uint8_t indices[256]; /* of these */
    struct encoder *encoder;
    struct buffer blocks[256];
};

static void forget_encoder(struct examiner *examiner)
{
    for (unsigned i = 0; i < examiner->count; i++)
        buffer_give(&examiner->blocks[i]);
    if (examiner->encoder)
        encoder_free(examiner->encoder);
    examiner->encoder = NULL;
    examiner->count = 0;
}

static void examiner_clear(struct examiner *examiner)
{
    forget_encoder(examiner);
    buffer_give(&examiner->stripe);
    free(examiner->have);
}

/* Has the blocks of those shares made of which this stripe has a good one: mostly the same as of
 * the last one. */
static int prepare_encoder(struct examiner *examiner, const struct attempt *attempt)
{
    const struct share_layout layout = header_plain_layout(attempt->reading->version);
    bool seen[256] = {false};
    uint8_t indices[256] = {0};
    unsigned count = 0;

    for (size_t i = 0; i < attempt->gather.count; i++) {
        if (attempt->gather.copies[i].block == BLOCK_GOOD)
            seen[attempt->gather.copies[i].index] = true;
    }
    for (unsigned index = 0; index < 256; index++) {
        if (seen[index])
            indices[count++] = (uint8_t)index;
    }
    if (examiner->encoder && count == examiner->count &&
        memcmp(indices, examiner->indices, count) == 0)
        return 0;
    forget_encoder(examiner);
    memcpy(examiner->indices, indices, count);
    int r = encoder_new(&layout, count, indices, &examiner->encoder);
    while (r == 0 && examiner->count < count) {
        r = buffer_take(layout_full_block_size(&layout), &examiner->blocks[examiner->count]);
        examiner->count += r == 0;
    }
    return r;
}

/* Compares all good blocks with those that the stripe encodes to, and notes which copy differs. */
static int compare_all(struct examiner *examiner, const struct attempt *attempt)
{
    const struct stripe_reading *reading = attempt->reading;
    size_t size = layout_block_size(&reading->version->layout, reading->stripe);
    bool checked = formats[reading->version->layout.format]->has_checks;
    uint8_t *blocks[256];

    int r = prepare_encoder(examiner, attempt);
    for (unsigned i = 0; r == 0 && i < examiner->count; i++)
        blocks[i] = examiner->blocks[i].data;
    if (r == 0)
        r = encoder_run(examiner->encoder, reading->stripe, reading->data, blocks);
    for (size_t i = 0; r == 0 && i < attempt->gather.count; i++) {
        const struct gather_copy *gathered = &attempt->gather.copies[i];
        struct copy *copy = attempt->copies[i];
        if (gathered->block != BLOCK_GOOD)
            continue;
        unsigned place = 0;
        while (examiner->indices[place] != gathered->index)
            place++;
        const uint8_t *right = blocks[place], *there = attempt->blocks[i].data;
        bool same = memcmp(there, right, size) == 0;
        if (same || !checked)
            examiner->have[copy - reading->copies->items] = gathered->index;
        if (same)
            continue;
        HOLD(reading->lock);
        /* A block that is intact, and of another digest, is no damage: it is of another content. */
        bool other = checked && memcmp(there, right, HASH_SIZE) != 0;
        copy->differs |= other;
        copy->forged |= !other;
        if (!other)
            damage_add(&copy->damage, reading->stripe);
    }
    return r;
}

/*
 * Sets *RET_SPARE to how many more stores may be lost before the stripe is (spare.h). Returns 0, or
 * the error of share_set_read_stripe where the stripe cannot be restored.
 */
static int examine(struct examiner *examiner, uint64_t stripe, int *ret_spare)
{
    struct share_set *set = examiner->sweeping->set;
    struct stripe_reading reading;
    cleanup_attempt struct attempt attempt = {0};

    *ret_spare = -1;
    share_set_begin_reading(set, stripe, examiner->stripe.data, &reading);
    reading.whole = true;
    reading.apart = examiner->sweeping->apart;
    for (size_t i = 0; i < reading.copies->count; i++)
        examiner->have[i] = -1;
    int r = attempt_start(&attempt, &reading);
    if (r < 0)
        return r;
    r = attempt_restore(&attempt);
    if (r < 0)
        return share_set_end_reading(set, &reading, r);
    r = compare_all(examiner, &attempt);
    if (r < 0)
        return r;
    HOLD(reading.lock);
    int spare = spare_by_blocks(reading.copies, examiner->have, reading.needed);
    spare = spare < attempt.spare ? spare : attempt.spare;
    *ret_spare = spare > 0 ? spare : 0; /* it was restored */
    return 0;
}

/* The finalizer of splitmix64 (Steele et al., 2014). */
static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

/* Returns true if a stripe is among those that are to be read: others in each file. */
static bool is_sampled(const struct sweeping *sweeping, uint64_t stripe)
{
    const struct sweep_depth *depth = sweeping->depth;
    uint64_t file = (uint64_t)share_set_copies(sweeping->set)->items[0].status.st_ino;
    uint64_t number = mix(mix(depth->seed + file) + stripe);

    return depth->part >= 1 || depth->glance || (double)(number >> 11) < depth->part * 0x1p53;
}

/* What came of one stripe; an error of its own is that it is lost. */
static void note(struct sweeping *sweeping, uint64_t stripe, int r, int spare)
{
    struct sweep *result = sweeping->result;
    uint64_t size = layout_stripe_size(&sweeping->layout, stripe);

    HOLD(&sweeping->lock);
    if (is_shortage(r) || r == -ETIMEDOUT)
        sweeping->error = r;
    else if (r < 0)
        damage_add(&result->lost, stripe);
    result->bytes +=
        share_set_copies(sweeping->set)->count * layout_block_size(&sweeping->layout, stripe);
    if (spare < result->spare)
        result->spare = spare;
    if (sweeping->depth->ahead) {
        atomic_fetch_add(sweeping->depth->ahead, size);
        sweeping->ahead += size;
    }
}

static bool goes_on(struct sweeping *sweeping)
{
    HOLD(&sweeping->lock);
    if (atomic_load(sweeping->depth->stop))
        sweeping->error = -ECANCELED;
    return sweeping->error == 0;
}

static void fail(struct sweeping *sweeping, int error)
{
    HOLD(&sweeping->lock);
    sweeping->error = error;
}

/* Returns false where the rest is needless. */
static bool run_part(void *context, uint64_t number)
{
    struct sweeping *sweeping = context;
    uint64_t first = number * sweeping->part, left = sweeping->end - first;
    uint64_t end = first + (left < sweeping->part ? left : sweeping->part);
    CLEANUP(examiner_clear)
    struct examiner examiner = {
        .sweeping = sweeping,
        .have = calloc(share_set_copies(sweeping->set)->count, sizeof(int)),
    };
    int spare;

    size_t room = layout_payload_size(&sweeping->layout, 0) * sweeping->layout.required;
    int r = examiner.have ? buffer_take(room, &examiner.stripe) : -ENOMEM;
    if (r < 0) {
        fail(sweeping, r);
        return false;
    }
    for (uint64_t stripe = first; stripe < end && goes_on(sweeping); stripe++) {
        if (!is_sampled(sweeping, stripe))
            continue;
        r = examine(&examiner, stripe, &spare);
        note(sweeping, stripe, r, spare);
    }
    return goes_on(sweeping);
}

/* Looks at all parts. Returns 0 or an error. */
static int run_parts(struct sweeping *sweeping, struct pool *pool)
{
    pthread_mutex_init(&sweeping->lock, NULL);
    pool_each(pool, (sweeping->end - 1) / sweeping->part + 1, run_part, sweeping);
    pthread_mutex_destroy(&sweeping->lock);
    /* All of it has ended: the file counts for those who show how far things are from here on. */
    if (sweeping->depth->ahead)
        atomic_fetch_sub(sweeping->depth->ahead, sweeping->ahead);
    sweeping->ahead = 0;
    return sweeping->error;
}

/*
 * Goes through the stripes in order, as a reader does: if blocks contradict each other, one stripe
 * bears on the next.
 */
static int run_in_order(struct sweeping *sweeping, const struct sweep *start)
{
    damage_clear(&sweeping->result->lost);
    *sweeping->result = *start;
    sweeping->apart = false;
    sweeping->part = sweeping->end;
    share_set_forget_trust(sweeping->set);
    int r = run_parts(sweeping, NULL);
    share_set_forget_trust(sweeping->set); /* the next reader starts anew, and comes to the same */
    return r;
}

/* All stripes behind what is present are lost, and bad in all copies. */
static void lose_end(struct sweeping *sweeping)
{
    struct copies *copies = share_set_copies(sweeping->set);
    uint64_t end = share_set_present(sweeping->set), stripes = layout_stripes(&sweeping->layout);

    if (end == stripes)
        return;
    damage_add_end(&sweeping->result->lost, end, stripes - 1);
    sweeping->result->spare = -1;
    for (size_t i = 0; i < copies->count; i++)
        damage_add_end(&copies->items[i].damage, end, stripes - 1);
}

int sweep_run(struct share_set *set, const struct sweep_depth *depth, struct sweep *result)
{
    const struct share_layout *layout = &share_set_header(set)->layout;
    const struct copies *copies = share_set_copies(set);
    uint64_t at_once = PART_BYTES / layout_full_block_size(layout);
    const struct sweep start = {.spare = result->spare, .bytes = result->bytes};
    struct sweeping sweeping = {
        .set = set,
        .depth = depth,
        .layout = *layout,
        .end = depth->glance ? 1 : share_set_present(set),
        .part = at_once > copies->count ? at_once / copies->count : 1,
        .apart = true,
        .result = result,
    };

    if (share_set_is_distant(set)) /* each stripe costs the time of the way: many at once, then */
        sweeping.part = 1;
    int r = run_parts(&sweeping, depth->pool);
    if (r == 0 && share_set_is_contested(set))
        r = run_in_order(&sweeping, &start);
    if (r == 0 && !depth->glance)
        lose_end(&sweeping);
    return r;
}
