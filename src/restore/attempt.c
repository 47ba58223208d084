/* SPDX-License-Identifier: MIT */
#include "restore/attempt.h"

#include "base/log.h"
#include "base/shortage.h"
#include "share/block.h"
#include "share/stripe.h"
#include "store/pace.h"

#include <limits.h>
#include <string.h>

void attempt_clear(struct attempt *attempt)
{
    if (attempt->round)
        round_leave(attempt->round);
    free(attempt->reads);
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
 * Reading order: shares of the version before others, healthy stores before others, and quick ones
 * before slow ones, those that are trusted before others, and then pieces, which need no
 * arithmetic.
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
        r = order(a->slow, b->slow);
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

/* Returns true if a copy has a block for the stripe that could be one of its blocks here. */
static bool has_block(const struct stripe_reading *reading, const struct copy *copy)
{
    const struct share_layout layout = layout_of(reading, copy);

    return copy->role != COPY_USELESS && !copy->changed &&
           reading->stripe < layout_stripes(&layout) &&
           layout_payload_size(&layout, reading->stripe) ==
               layout_payload_size(&reading->version->layout, reading->stripe);
}

static int make_room(struct attempt *attempt, size_t count)
{
    attempt->copies = calloc(count, sizeof(struct copy *));
    attempt->blocks = calloc(count, sizeof(struct buffer));
    attempt->reads = calloc(count, sizeof *attempt->reads);
    attempt->gather.copies = calloc(count, sizeof(struct gather_copy));
    if (!attempt->copies || !attempt->blocks || !attempt->reads || !attempt->gather.copies)
        return -ENOMEM;
    return round_new(&attempt->round);
}

/* Notes which stores take much longer than others by now. With the lock held. */
static void note_paces(struct attempt *attempt)
{
    uint64_t paces[PACE_STORES];
    size_t count = attempt->gather.count < PACE_STORES ? attempt->gather.count : PACE_STORES;

    for (size_t i = 0; i < count; i++)
        paces[i] = store_pace(attempt->copies[i]->store);
    attempt->patience = pace_patience(paces, count);
    for (size_t i = 0; i < attempt->gather.count; i++)
        attempt->copies[i]->slow = store_pace(attempt->copies[i]->store) > attempt->patience;
}

static void start_gather(struct attempt *attempt)
{
    const struct stripe_reading *reading = attempt->reading;

    attempt->gather.needed = reading->needed;
    attempt->contested = reading->trust->contested && !reading->apart;
    for (size_t i = 0; i < attempt->gather.count; i++)
        attempt->copies[i] = &reading->copies->items[i];
    note_paces(attempt);
    qsort(attempt->copies, attempt->gather.count, sizeof(struct copy *), compare_rank);
    for (size_t i = 0; i < attempt->gather.count; i++) {
        const struct copy *copy = attempt->copies[i];
        /* A block that is intact but wrong counts as before: the verdict is to stay the same. */
        bool known_bad = !has_block(reading, copy) ||
                         (!copy->forged && damage_has(&copy->damage, reading->stripe));
        attempt->gather.copies[i] = (struct gather_copy){
            .role = copy->role,
            .bound = copy->bound,
            .trusted = copy->trusted || !attempt->contested,
            .index = copy->facts.has_header ? copy->index : GATHER_INDEX_UNKNOWN,
            .block = known_bad ? BLOCK_BAD : BLOCK_UNREAD,
        };
    }
}

int attempt_start(struct attempt *attempt, const struct stripe_reading *reading)
{
    *attempt = (struct attempt){.reading = reading, .spare = INT_MAX};
    pthread_mutex_lock(reading->lock);
    attempt->gather.count = reading->copies->count;
    int r = make_room(attempt, attempt->gather.count);
    if (r == 0)
        start_gather(attempt);
    pthread_mutex_unlock(reading->lock);
    return r;
}

static const char *describe(int error)
{
    switch (error) {
    case -EBADMSG:
        return "it does not verify";
    case -ENODATA:
        return "the share is cut off";
    case -ESTALE:
        return "the file was changed while it was read";
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
    if (reading->trial) {
        is_news = false;
    } else if (error == -EBADMSG || error == -ENODATA || error == -EIO) {
        is_news = copy->damage.count == 0 && copy->role != COPY_OTHER;
        damage_add(&copy->damage, reading->stripe);
    } else {
        is_news = !copy->failing && !copy->changed;
    }
    copy->changed |= error == -ESTALE;
    copy->failing |= error != -EBADMSG && error != -ENODATA && error != -ESTALE;
    pthread_mutex_unlock(reading->lock);
    if (is_news)
        log_once("%s: store %s: block %llu is bad: %s", reading->path, store_name(copy->store),
                 (unsigned long long)reading->stripe, describe(error));
}

/*
 * Returns the index of the share that an intact block belongs to; -1 if it belongs to none. If the
 * header is lost, the index follows from the block: most likely it is the same as in other blocks
 * of the copy, except for a block in a wrong place.
 */
static int find_index(const struct stripe_reading *reading, const struct copy *copy, int likely,
                      const uint8_t *block)
{
    size_t u = layout_payload_size(&reading->version->layout, reading->stripe);

    if (!formats[reading->version->layout.format]->has_checks)
        return copy->facts.header.index;
    if (likely >= 0 && block_is_intact(block, u, reading->stripe, (uint8_t)likely))
        return likely;
    for (int index = 0; index < 256 && !copy->facts.has_header; index++) {
        if (block_is_intact(block, u, reading->stripe, (uint8_t)index))
            return index;
    }
    return -1;
}

static void note_read(struct attempt *attempt, size_t place)
{
    static const uint8_t no_digest[HASH_SIZE];
    const struct stripe_reading *reading = attempt->reading;
    bool checked = formats[reading->version->layout.format]->has_checks;
    struct copy *copy = attempt->copies[place];
    struct buffer *block = &attempt->blocks[place];

    int r = block_read_take(&attempt->reads[place], block);
    if (is_shortage(r)) {
        gather_bad(&attempt->gather, place);
        attempt->shortage = r;
        return;
    }
    if (r < 0) {
        attempt->missed |= r == -ETIMEDOUT;
        note_bad(attempt, place, r);
        return;
    }
    int index = find_index(reading, copy, attempt->gather.copies[place].index, block->data);
    if (index < 0) {
        note_bad(attempt, place, -EBADMSG);
        return;
    }
    pthread_mutex_lock(reading->lock);
    copy->index = index;
    pthread_mutex_unlock(reading->lock);
    gather_good(&attempt->gather, place, (uint8_t)index, checked ? block->data : no_digest);
}

/* Asks for the blocks of the copies at PLACES. */
static int ask(struct attempt *attempt, const size_t places[], size_t count)
{
    const struct stripe_reading *reading = attempt->reading;
    size_t size = layout_block_size(&reading->version->layout, reading->stripe);

    for (size_t i = 0; i < count; i++) {
        const struct copy *copy = attempt->copies[places[i]];
        const struct share_layout layout = layout_of(reading, copy);
        int r = copy_ask(attempt->round, copy, layout_block_offset(&layout, reading->stripe), size,
                         &attempt->reads[places[i]]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Waits for news of the blocks that were asked for. Returns how many may still come. */
static unsigned wait_for_news(struct attempt *attempt)
{
    unsigned pending = round_wait(attempt->round, attempt->patience).pending;

    for (size_t i = 0; i < attempt->gather.count; i++) {
        const struct gather_copy *copy = &attempt->gather.copies[i];
        if (copy->block != BLOCK_ASKED && copy->block != BLOCK_LATE)
            continue;
        if (attempt->reads[i].state == TASK_LATE)
            gather_late(&attempt->gather, i);
        else if (attempt->reads[i].state != TASK_PENDING)
            note_read(attempt, i);
    }
    return pending;
}

int attempt_read_wanted(struct attempt *attempt)
{
    size_t places[256], count;

    while ((count = gather_next(&attempt->gather, places)) > 0 || gather_waits(&attempt->gather)) {
        int r = ask(attempt, places, count);
        if (r < 0)
            return r;
        wait_for_news(attempt);
        if (attempt->shortage < 0)
            return attempt->shortage;
    }
    return 0;
}

int attempt_read_rest(struct attempt *attempt)
{
    cleanup_free size_t *places = calloc(attempt->gather.count, sizeof *places);

    if (!places)
        return -ENOMEM;
    size_t count = gather_rest(&attempt->gather, places, attempt->gather.count);
    int r = ask(attempt, places, count);
    while (r == 0 && wait_for_news(attempt) > 0) {
    }
    return r < 0 ? r : attempt->shortage;
}

/* What a look at a copy's digest showed. */
enum peeked { PEEKED_SAME, PEEKED_OTHER, PEEKED_NOTHING };

static enum peeked peek(const struct attempt *attempt, size_t place,
                        const uint8_t digest[HASH_SIZE])
{
    const struct stripe_reading *reading = attempt->reading;
    const struct copy *copy = attempt->copies[place];
    const struct share_layout layout = layout_of(reading, copy);
    uint8_t there[HASH_SIZE];

    int r = copy_read_now(copy, layout_block_offset(&layout, reading->stripe), sizeof there, there);
    if (r == -EAGAIN)
        return PEEKED_NOTHING;
    return r == 0 && memcmp(there, digest, HASH_SIZE) == 0 ? PEEKED_SAME : PEEKED_OTHER;
}

int attempt_peek(struct attempt *attempt, size_t place, bool *ret)
{
    struct gather *gather = &attempt->gather;
    bool all = true;

    for (size_t i = 0; i < gather->count; i++) {
        if (gather->copies[i].role != COPY_MEMBER || gather->copies[i].block == BLOCK_GOOD ||
            gather->copies[i].block == BLOCK_BAD)
            continue;
        enum peeked peeked = gather->copies[i].block == BLOCK_UNREAD
                                 ? peek(attempt, i, gather->copies[place].digest)
                                 : PEEKED_NOTHING;
        if (peeked == PEEKED_OTHER) {
            gather->copies[i].block = BLOCK_ASKED;
            int r = ask(attempt, &i, 1);
            if (r < 0)
                return r;
            wait_for_news(attempt);
        }
        all &= peeked != PEEKED_NOTHING;
    }
    *ret = all;
    return 0;
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
