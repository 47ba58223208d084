/* SPDX-License-Identifier: MIT */
#include "view/attempt.h"

#include "base/log.h"
#include "share/block.h"
#include "stripe/decode.h"
#include "stripe/encode.h"

#include <string.h>

void attempt_clear(struct attempt *attempt)
{
    for (size_t i = 0; attempt->blocks && i < attempt->gather.count; i++)
        buffer_give(&attempt->blocks[i]);
    free(attempt->blocks);
    free(attempt->copies);
    free(attempt->gather.copies);
}

static int order(unsigned a, unsigned b)
{
    return (a > b) - (a < b);
}

/*
 * Reading order: shares of the version before others, healthy stores before others, those that are
 * trusted before others, and then pieces, which need no arithmetic.
 */
static int compare_rank(const void *left, const void *right)
{
    const struct copy *a = *(struct copy *const *)left, *b = *(struct copy *const *)right;

    int r = order(a->forged, b->forged);
    if (r == 0)
        r = order(a->role, b->role);
    if (r == 0)
        r = order(a->failing, b->failing);
    if (r == 0)
        r = order(!a->trusted, !b->trusted);
    return r != 0 ? r : order((unsigned)a->index, (unsigned)b->index); /* -1 comes last */
}

/* Of which layout a copy is: its own, or where its header is lost that of shares made here. */
static struct share_layout layout_of(const struct stripe_reading *reading, const struct copy *copy)
{
    return copy->facts.has_header ? copy->facts.header.layout
                                  : header_plain_layout(reading->version);
}

/* Whether a copy has a block for the stripe that could be one of its blocks here. */
static bool has_block(const struct stripe_reading *reading, const struct copy *copy)
{
    const struct share_layout layout = layout_of(reading, copy);

    return copy->role != COPY_USELESS && reading->stripe < layout_stripes(&layout) &&
           layout_payload_size(&layout, reading->stripe) ==
               layout_payload_size(&reading->version->layout, reading->stripe);
}

int attempt_start(struct attempt *attempt, const struct stripe_reading *reading)
{
    size_t count = reading->copies->count;

    *attempt = (struct attempt){.reading = reading};
    attempt->copies = calloc(count, sizeof(struct copy *));
    attempt->blocks = calloc(count, sizeof(struct buffer));
    attempt->gather.copies = calloc(count, sizeof(struct gather_copy));
    if (!attempt->copies || !attempt->blocks || !attempt->gather.copies)
        return -ENOMEM;
    attempt->gather.required = reading->version->layout.required;
    attempt->gather.begun = atomic_load(&reading->history->begun);
    attempt->gather.count = count;
    for (size_t i = 0; i < count; i++)
        attempt->copies[i] = &reading->copies->items[i];
    pthread_mutex_lock(reading->lock);
    qsort(attempt->copies, count, sizeof(struct copy *), compare_rank);
    for (size_t i = 0; i < count; i++) {
        const struct copy *copy = attempt->copies[i];
        bool known_bad = !has_block(reading, copy) || damage_has(&copy->damage, reading->stripe);
        attempt->gather.copies[i] = (struct gather_copy){
            .role = copy->role,
            .trusted = copy->trusted,
            .index = copy->facts.has_header ? copy->index : GATHER_INDEX_UNKNOWN,
            .block = known_bad ? BLOCK_BAD : BLOCK_UNREAD,
        };
    }
    pthread_mutex_unlock(reading->lock);
    return 0;
}

static const char *describe(int error)
{
    switch (error) {
    case -EBADMSG:
        return "it does not verify";
    case -ENODATA:
        return "the share is cut off";
    default:
        return strerrordesc_np(-error);
    }
}

/* Notes that a copy has no good block here, and says so the first time. */
static void note_bad(struct attempt *attempt, size_t place, int error)
{
    const struct stripe_reading *reading = attempt->reading;
    struct copy *copy = attempt->copies[place];
    bool is_news = false;

    gather_bad(&attempt->gather, place);
    pthread_mutex_lock(reading->lock);
    if (error == -EBADMSG || error == -ENODATA || error == -EIO) {
        is_news = copy->damage.count == 0 && copy->role != COPY_HELPER;
        damage_add(&copy->damage, reading->stripe);
    } else {
        is_news = !copy->failing;
    }
    copy->failing = copy->failing || (error != -EBADMSG && error != -ENODATA);
    pthread_mutex_unlock(reading->lock);
    if (is_news)
        log_once("%s: store %s: block %llu is bad: %s", reading->path, store_name(copy->store),
                 (unsigned long long)reading->stripe, describe(error));
}

/*
 * Whose share an intact block is; -1 where it is no one's. Where the header is lost it follows from
 * the block: most likely it is the same as in other blocks of the copy, but for one in a wrong
 * place.
 */
static int find_index(const struct stripe_reading *reading, const struct copy *copy, int likely,
                      const uint8_t *block)
{
    size_t u = layout_payload_size(&reading->version->layout, reading->stripe);

    if (reading->version->layout.format != SHARE_CHECKED)
        return copy->facts.header.index;
    if (likely >= 0 && block_is_intact(block, u, reading->stripe, (uint8_t)likely))
        return likely;
    for (int index = 0; index < 256 && !copy->facts.has_header; index++) {
        if (block_is_intact(block, u, reading->stripe, (uint8_t)index))
            return index;
    }
    return -1;
}

static void note_read(struct attempt *attempt, size_t place, struct block_read *read)
{
    static const uint8_t no_digest[HASH_SIZE];
    const struct stripe_reading *reading = attempt->reading;
    bool checked = reading->version->layout.format == SHARE_CHECKED;

    if (read->result < 0) {
        note_bad(attempt, place, read->result);
        return;
    }
    attempt->blocks[place] = read->block;
    int index =
        find_index(reading, read->copy, attempt->gather.copies[place].index, read->block.data);
    if (index < 0) {
        note_bad(attempt, place, -EBADMSG);
        return;
    }
    pthread_mutex_lock(reading->lock);
    read->copy->index = index;
    pthread_mutex_unlock(reading->lock);
    gather_good(&attempt->gather, place, (uint8_t)index, checked ? read->block.data : no_digest);
}

/* Reads the blocks of the copies at PLACES. */
static int read_blocks(struct attempt *attempt, const size_t places[], size_t count)
{
    const struct stripe_reading *reading = attempt->reading;
    cleanup_free struct block_read *reads = calloc(count, sizeof *reads);

    if (!reads)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct copy *copy = attempt->copies[places[i]];
        const struct share_layout layout = layout_of(reading, copy);
        reads[i].copy = copy;
        reads[i].offset = layout_block_offset(&layout, reading->stripe);
        reads[i].size = layout_block_size(&reading->version->layout, reading->stripe);
    }
    int r = copies_read(reads, count);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        note_read(attempt, places[i], &reads[i]);
    return 0;
}

int attempt_read_wanted(struct attempt *attempt)
{
    size_t places[256], count;

    while ((count = gather_next(&attempt->gather, places)) > 0) {
        int r = read_blocks(attempt, places, count);
        if (r < 0)
            return r;
    }
    return 0;
}

int attempt_read_rest(struct attempt *attempt)
{
    cleanup_free size_t *places = calloc(attempt->gather.count, sizeof *places);

    if (!places)
        return -ENOMEM;
    size_t count = gather_rest(&attempt->gather, places, attempt->gather.count);
    return count > 0 ? read_blocks(attempt, places, count) : 0;
}

int attempt_decode(const struct attempt *attempt, const size_t places[])
{
    const struct stripe_reading *reading = attempt->reading;
    const uint8_t *blocks[255];
    uint8_t indices[255];

    for (unsigned s = 0; s < reading->version->layout.required; s++) {
        indices[s] = (uint8_t)attempt->gather.copies[places[s]].index;
        blocks[s] = attempt->blocks[places[s]].data;
    }
    return stripe_decode(&reading->version->layout, reading->stripe, indices, blocks,
                         reading->data);
}

int attempt_compare(const struct attempt *attempt, size_t place, bool *ret)
{
    const struct stripe_reading *reading = attempt->reading;
    size_t size = layout_block_size(&reading->version->layout, reading->stripe);
    uint8_t index = (uint8_t)attempt->gather.copies[place].index;
    cleanup_encoder struct encoder *encoder = NULL;
    cleanup_buffer struct buffer block = NO_BUFFER;

    int r = encoder_new(&reading->version->layout, 1, &index, &encoder);
    if (r == 0)
        r = buffer_take(size, &block);
    if (r == 0)
        r = encoder_run(encoder, reading->stripe, reading->data, &block.data);
    if (r == 0)
        *ret = memcmp(block.data, attempt->blocks[place].data, size) == 0;
    return r;
}

/* Whether a copy that may speak for the version has a block with this digest. */
static bool agrees(const struct gather_copy *copy, const uint8_t digest[HASH_SIZE])
{
    return copy->role != COPY_HELPER && copy->block == BLOCK_GOOD &&
           memcmp(copy->digest, digest, HASH_SIZE) == 0;
}

bool attempt_goes_on(const struct attempt *attempt, const uint8_t digest[HASH_SIZE])
{
    bool found = false;

    pthread_mutex_lock(attempt->reading->lock);
    for (size_t i = 0; i < attempt->gather.count; i++)
        found |= attempt->copies[i]->trusted && agrees(&attempt->gather.copies[i], digest);
    pthread_mutex_unlock(attempt->reading->lock);
    return found;
}

void attempt_learn(const struct attempt *attempt, bool is_first, const uint8_t digest[HASH_SIZE])
{
    pthread_mutex_lock(attempt->reading->lock);
    for (size_t i = 0; i < attempt->gather.count; i++) {
        struct copy *copy = attempt->copies[i];
        copy->trusted = (is_first || copy->trusted) && !copy->forged &&
                        agrees(&attempt->gather.copies[i], digest);
    }
    pthread_mutex_unlock(attempt->reading->lock);
}

void attempt_number(const struct attempt *attempt, size_t numbers[])
{
    for (size_t i = 0; i < attempt->gather.count; i++)
        numbers[i] = (size_t)(attempt->copies[i] - attempt->reading->copies->items);
}
