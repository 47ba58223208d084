/* SPDX-License-Identifier: MIT */
#include "restore/inspection.h"

#include "base/bytes.h"
#include "base/lock.h"
#include "base/shortage.h"
#include "restore/reading.h"
#include "share/stripe.h"
#include "trust/mend.h"

#include <string.h>

enum {
    PART_BYTES = 16 << 20, /* of blocks, that one thread reads at a time */
};

/* One sweep under way. */
struct sweeping {
    struct inspection *inspection;
    struct share_set *set; /* its */
    const struct sweep_depth *depth;
    const struct share_layout *layout;
    uint64_t end; /* stripes that are looked at */
    uint64_t part;
    bool apart;           /* stripes can be judged one by one */
    pthread_mutex_t lock; /* of the inspection, and of: */
    uint64_t ahead;       /* bytes that were added to the depth's */
    int error;
};

/* Reads all blocks, stripe by stripe, and finds which of them are right. */
struct examiner {
    const struct sweeping *sweeping;
    struct buffer stripe;
    unsigned count;       /* of the shares that the encoder makes */
    uint8_t indices[256]; /* of these */
    struct encoder *encoder;
    struct buffer blocks[256];
    bool unverified; /* only its own k blocks say what the last stripe is */
};

static void forget_encoder(struct examiner *examiner)
{
    while (examiner->count > 0)
        buffer_give(&examiner->blocks[--examiner->count]);
    if (examiner->encoder)
        encoder_free(steal_pointer(examiner->encoder));
}

static void examiner_clear(struct examiner *examiner)
{
    forget_encoder(examiner);
    buffer_give(&examiner->stripe);
}

/* Prepares an encoder for the shares of which this stripe has a good block: mostly the same as
 * before. */
static int prepare_encoder(struct examiner *examiner, const struct attempt *attempt)
{
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
    int r = encoder_new(attempt->layout, count, indices, &examiner->encoder);
    while (r == 0 && examiner->count < count) {
        r = buffer_take(layout_full_block_size(attempt->layout),
                        &examiner->blocks[examiner->count]);
        examiner->count += r == 0;
    }
    return r;
}

/*
 * Compares all good blocks with those that the stripe encodes to, and notes which copy differs.
 * Sets *RET_SPARE to how many more stores may be lost before the stripe is. Blocks of copies that
 * are not of the version count only beside one that is.
 */
static int compare_all(struct examiner *examiner, const struct attempt *attempt, int *ret_spare)
{
    size_t size = layout_block_size(attempt->layout, attempt->stripe);
    uint8_t *blocks[256];
    unsigned at[256] = {0}, shares = 0;
    int anchors = 0;

    int r = prepare_encoder(examiner, attempt);
    for (unsigned i = 0; r == 0 && i < examiner->count; i++)
        blocks[i] = examiner->blocks[i].data;
    if (r == 0)
        r = encoder_run(examiner->encoder, attempt->stripe, attempt->data, attempt->digest, blocks);
    if (r < 0)
        return r;
    for (size_t i = 0; i < attempt->gather.count; i++) {
        const struct gather_copy *gathered = &attempt->gather.copies[i];
        struct copy *copy = attempt->copies[i];
        if (gathered->block != BLOCK_GOOD)
            continue;
        unsigned place = 0;
        while (examiner->indices[place] != gathered->index)
            place++;
        const uint8_t *right = blocks[place], *there = attempt->blocks[i].data;
        bool same = memcmp(there, right, size) == 0;
        HOLD(&attempt->set->lock);
        if (same || !attempt->checked) {
            at[gathered->index]++;
            anchors += copy->role == COPY_MEMBER || (copy->role == COPY_NAMELESS && copy->bound);
        }
        if (same)
            continue;
        /* A block that is intact, and of another digest, is no damage: it is of another content. */
        bool other = attempt->checked && memcmp(there, right, HASH_SIZE) != 0;
        copy->differs |= other;
        copy->forged |= !other;
        if (!other)
            damage_add(&copy->damage, attempt->stripe);
    }
    for (unsigned i = 0; i < 256; i++)
        shares += at[i] > 0;
    examiner->unverified =
        attempt->sealed && !attempt->opener && shares <= attempt->layout->required;
    int spare = mend_spare(at, attempt->gather.needed);
    *ret_spare = spare < anchors - 1 ? spare : anchors - 1;
    return 0;
}

/*
 * Sets *RET_SPARE to how many more stores may be lost before the stripe is; below 0: it is lost.
 * Returns 0, or the error of stripe_read where it cannot be restored.
 */
static int examine(struct examiner *examiner, uint64_t stripe, int *ret_spare)
{
    const struct sweeping *sweeping = examiner->sweeping;
    unsigned mode = READ_WHOLE | READ_SEALED | (sweeping->apart ? READ_APART : 0);
    cleanup_attempt struct attempt attempt = {0};
    int spare;

    *ret_spare = -1;
    examiner->unverified = false;
    int r = attempt_start(&attempt, sweeping->set, stripe, examiner->stripe.data, mode);
    if (r < 0)
        return r;
    r = attempt_restore(&attempt);
    if (r < 0)
        return stripe_lose(sweeping->set, stripe, r);
    r = compare_all(examiner, &attempt, &spare);
    if (r < 0)
        return r;
    spare = spare < attempt.spare ? spare : attempt.spare;
    *ret_spare = spare > 0 ? spare : 0; /* it was restored */
    return 0;
}

/* Returns true if a stripe is among those that are to be read: others in each file. */
static bool is_sampled(const struct sweeping *sweeping, uint64_t stripe)
{
    const struct sweep_depth *depth = sweeping->depth;
    uint64_t file = (uint64_t)sweeping->set->copies[0].ballot.status.st_ino;
    uint64_t number = mix_bits(mix_bits(depth->seed + file) + stripe);

    return depth->part >= 1 || depth->glance || (double)(number >> 11) < depth->part * 0x1p53;
}

/*
 * Notes the result of one stripe. Returns a shortage; any other error says that the stripe is lost.
 */
static int note(struct sweeping *sweeping, uint64_t stripe, int r, int spare, bool unverified)
{
    struct inspection *inspection = sweeping->inspection;
    uint64_t size = layout_stripe_size(sweeping->layout, stripe);
    bool shortage = is_shortage(r) || r == -ETIMEDOUT;

    HOLD(&sweeping->lock);
    if (r < 0 && !shortage)
        damage_add(&inspection->lost, stripe);
    if (unverified)
        damage_add(&inspection->unverified, stripe);
    inspection->bytes += sweeping->set->count * layout_block_size(sweeping->layout, stripe);
    if (spare < inspection->spare)
        inspection->spare = spare;
    if (sweeping->depth->ahead) {
        atomic_fetch_add(sweeping->depth->ahead, size);
        sweeping->ahead += size;
    }
    return shortage ? r : 0;
}

/*
 * Notes an ERROR of this thread (0: none). Returns false if the rest is needless, after an error of
 * any thread.
 */
static bool goes_on(struct sweeping *sweeping, int error)
{
    HOLD(&sweeping->lock);
    if (error < 0)
        sweeping->error = error;
    if (atomic_load(sweeping->depth->stop))
        sweeping->error = -ECANCELED;
    return sweeping->error == 0;
}

/* Returns false where the rest is needless. */
static bool run_part(void *context, uint64_t number)
{
    struct sweeping *sweeping = context;
    uint64_t first = number * sweeping->part, left = sweeping->end - first;
    uint64_t end = first + (left < sweeping->part ? left : sweeping->part);
    size_t room = layout_payload_size(sweeping->layout, 0) * sweeping->layout->required;
    CLEANUP(examiner_clear) struct examiner examiner = {.sweeping = sweeping};
    int spare;

    int r = buffer_take(room, &examiner.stripe);
    for (uint64_t stripe = first; stripe < end && goes_on(sweeping, r); stripe++) {
        if (!is_sampled(sweeping, stripe))
            continue;
        r = examine(&examiner, stripe, &spare);
        r = note(sweeping, stripe, r, spare, examiner.unverified);
    }
    return goes_on(sweeping, r);
}

/* Looks at all parts. Returns 0 or an error. */
static int run_parts(struct sweeping *sweeping, struct pool *pool)
{
    pthread_mutex_init(&sweeping->lock, NULL);
    pool_each(pool, (sweeping->end - 1) / sweeping->part + 1, run_part, sweeping);
    pthread_mutex_destroy(&sweeping->lock);
    /* The file is done: from now on its bytes count in the progress. */
    if (sweeping->depth->ahead)
        atomic_fetch_sub(sweeping->depth->ahead, sweeping->ahead);
    sweeping->ahead = 0;
    return sweeping->error;
}

/*
 * Lets the next reader start anew. Returns true if a stripe was returned that blocks contradicted.
 */
static bool forget_trust(struct share_set *set)
{
    HOLD(&set->lock);
    bool contested = set->trust.contested;

    set->trust.contested = false;
    for (size_t i = 0; i < set->count; i++)
        set->copies[i].trusted = true;
    return contested;
}

/* All stripes behind what is present (rule 8) are lost, and bad in all copies. */
static void lose_end(struct sweeping *sweeping)
{
    struct share_set *set = sweeping->set;
    uint64_t end = share_set_present(set), stripes = layout_stripes(sweeping->layout);

    if (end == stripes)
        return;
    damage_add_end(&sweeping->inspection->lost, end, stripes - 1);
    sweeping->inspection->spare = -1;
    for (size_t i = 0; i < set->count; i++)
        damage_add_end(&set->copies[i].damage, end, stripes - 1);
}

int sweep_run(struct inspection *inspection)
{
    const struct sweep_depth *depth = inspection->depth;
    struct share_set *set = inspection->shares;
    const struct share_layout *layout = &set->version.header.layout;
    uint64_t at_once = PART_BYTES / layout_full_block_size(layout), count = set->count;
    struct sweeping sweeping = {
        .inspection = inspection,
        .set = set,
        .depth = depth,
        .layout = layout,
        .end = depth->glance ? 1 : share_set_present(set),
        .part = at_once > count ? at_once / count : 1,
        .apart = true,
    };
    int spare = inspection->spare;

    if (share_set_is_distant(set)) /* each stripe costs a round trip: many at once, then */
        sweeping.part = 1;
    int r = run_parts(&sweeping, depth->pool);
    if (r == 0 && forget_trust(set)) {
        /* Blocks contradict each other, so each stripe matters for the next: reads once more in
         * order, as a reader does. The next reader gets the same result. */
        damage_clear(&inspection->lost);
        damage_clear(&inspection->unverified);
        inspection->spare = spare;
        inspection->bytes = 0;
        sweeping.apart = false;
        sweeping.part = sweeping.end;
        r = run_parts(&sweeping, NULL);
        forget_trust(set);
    }
    if (r == 0 && !depth->glance)
        lose_end(&sweeping);
    return r;
}
