/* SPDX-License-Identifier: MIT */
#include "restore/examiner.h"

#include "restore/spare.h"
#include "restore/stripe.h"
#include "share/stripe.h"

#include <string.h>

struct examiner {
    struct share_set *set;
    bool apart;
    int *have; /* the share that each copy has a block of, as spare.h has it */
    struct buffer stripe;
    unsigned count;       /* of the shares that the encoder makes */
    uint8_t indices[256]; /* of these */
    struct encoder *encoder;
    struct buffer blocks[256];
};

int examiner_new(struct share_set *set, bool apart, struct examiner **ret)
{
    const struct share_layout *layout = &share_set_header(set)->layout;
    struct examiner *examiner = calloc(1, sizeof *examiner);

    if (!examiner)
        return -ENOMEM;
    examiner->set = set;
    examiner->apart = apart;
    examiner->have = calloc(share_set_copies(set)->count, sizeof *examiner->have);
    int r = examiner->have ? 0 : -ENOMEM;
    if (r == 0 && layout->source_size > 0)
        r = buffer_take(layout_payload_size(layout, 0) * layout->required, &examiner->stripe);
    if (r < 0) {
        examiner_free(examiner);
        return r;
    }
    *ret = examiner;
    return 0;
}

static void forget_encoder(struct examiner *examiner)
{
    for (unsigned i = 0; i < examiner->count; i++)
        buffer_give(&examiner->blocks[i]);
    if (examiner->encoder)
        encoder_free(examiner->encoder);
    examiner->encoder = NULL;
    examiner->count = 0;
}

void examiner_free(struct examiner *examiner)
{
    forget_encoder(examiner);
    buffer_give(&examiner->stripe);
    free(examiner->have);
    free(examiner);
}

/* The indices of the shares that have a good block; how many. */
static unsigned list_shares(const struct attempt *attempt, uint8_t ret[256])
{
    bool seen[256] = {false};
    unsigned count = 0;

    for (size_t i = 0; i < attempt->gather.count; i++) {
        if (attempt->gather.copies[i].block == BLOCK_GOOD)
            seen[attempt->gather.copies[i].index] = true;
    }
    for (unsigned index = 0; index < 256; index++) {
        if (seen[index])
            ret[count++] = (uint8_t)index;
    }
    return count;
}

/* Has the blocks of those shares made that this stripe has: mostly the same as the last one. */
static int prepare_encoder(struct examiner *examiner, const struct attempt *attempt)
{
    const struct share_layout layout = header_plain_layout(share_set_header(examiner->set));
    uint8_t indices[256];
    unsigned count = list_shares(attempt, indices);

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

/* The block of share INDEX as it should be. */
static const uint8_t *right_block(const struct examiner *examiner, int index)
{
    unsigned i = 0;

    while (examiner->indices[i] != index)
        i++;
    return examiner->blocks[i].data;
}

/* A block that is intact, and of another digest, is no damage: the copy has another content. */
static void note_difference(const struct stripe_reading *reading, struct copy *copy, bool intact)
{
    pthread_mutex_lock(reading->lock);
    copy->differs |= intact;
    copy->forged |= !intact;
    if (!intact)
        damage_add(&copy->damage, reading->stripe);
    pthread_mutex_unlock(reading->lock);
}

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
        const struct gather_copy *copy = &attempt->gather.copies[i];
        if (copy->block != BLOCK_GOOD)
            continue;
        const uint8_t *right = right_block(examiner, copy->index);
        bool same = memcmp(attempt->blocks[i].data, right, size) == 0;
        if (same || !checked)
            examiner->have[attempt->copies[i] - reading->copies->items] = copy->index;
        if (!same)
            note_difference(reading, attempt->copies[i],
                            checked && memcmp(attempt->blocks[i].data, right, HASH_SIZE) != 0);
    }
    return r;
}

static int count_spare(const struct examiner *examiner, const struct stripe_reading *reading,
                       int limit)
{
    pthread_mutex_lock(reading->lock);
    int spare = spare_by_blocks(reading->copies, examiner->have, reading->needed);
    spare = spare < limit ? spare : limit;
    spare = spare > 0 ? spare : 0; /* it was restored */
    pthread_mutex_unlock(reading->lock);
    return spare;
}

int examiner_run(struct examiner *examiner, uint64_t stripe, int *ret_spare)
{
    struct stripe_reading reading;
    cleanup_attempt struct attempt attempt = {0};

    *ret_spare = -1;
    share_set_begin_reading(examiner->set, stripe, examiner->stripe.data, &reading);
    reading.whole = true;
    reading.apart = examiner->apart;
    for (size_t i = 0; i < reading.copies->count; i++)
        examiner->have[i] = -1;
    int r = attempt_start(&attempt, &reading);
    if (r < 0)
        return r;
    r = attempt_restore(&attempt);
    if (r < 0)
        return share_set_end_reading(examiner->set, &reading, r);
    r = compare_all(examiner, &attempt);
    if (r == 0)
        *ret_spare = count_spare(examiner, &reading, attempt.spare);
    return r;
}
