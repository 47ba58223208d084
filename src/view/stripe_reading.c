/* SPDX-License-Identifier: MIT */
#include "view/stripe_reading.h"

#include "base/log.h"
#include "choice/gather.h"
#include "share/block.h"
#include "stripe/decode.h"
#include "stripe/encode.h"

#include <string.h>

enum {
    /* Sets of blocks that are tried where one of them must be a lie; each costs a decoding. */
    TRIES_MAX = 4096,
};

/* A stripe being read: the copies in reading order, what gather knows of them, their blocks. */
struct attempt {
    const struct stripe_reading *reading;
    struct gather gather;
    struct copy **copies;
    struct buffer *blocks;
};

static void attempt_clear(struct attempt *attempt)
{
    for (size_t i = 0; attempt->blocks && i < attempt->gather.count; i++)
        buffer_give(&attempt->blocks[i]);
    free(attempt->blocks);
    free(attempt->copies);
    free(attempt->gather.copies);
}

/* Reading order: shares of the version before others, healthy stores before others, pieces first.
 */
static unsigned rank(const struct copy *copy)
{
    unsigned index = copy->index < 0 ? 256 : (unsigned)copy->index;

    return (unsigned)copy->role * 4096 + copy->distrusted * 16384u + copy->failing * 1024u + index;
}

static int compare_rank(const void *left, const void *right)
{
    unsigned a = rank(*(struct copy *const *)left), b = rank(*(struct copy *const *)right);

    return (a > b) - (a < b);
}

/* Of which layout a copy is: its own, or the version's where its header is lost. */
static const struct share_layout *layout_of(const struct stripe_reading *reading,
                                            const struct copy *copy)
{
    return copy->facts.has_header ? &copy->facts.header.layout : reading->layout;
}

/* Whether a copy has a block for the stripe that could be one of its blocks here. */
static bool has_block(const struct stripe_reading *reading, const struct copy *copy)
{
    const struct share_layout *layout = layout_of(reading, copy);

    return copy->role != COPY_USELESS && reading->stripe < layout_stripes(layout) &&
           layout_payload_size(layout, reading->stripe) ==
               layout_payload_size(reading->layout, reading->stripe);
}

/* Starts with what is known of the copies from other stripes. */
static int attempt_start(struct attempt *attempt, const struct stripe_reading *reading)
{
    size_t count = reading->copies->count;

    *attempt = (struct attempt){.reading = reading};
    attempt->copies = calloc(count, sizeof(struct copy *));
    attempt->blocks = calloc(count, sizeof(struct buffer));
    attempt->gather.copies = calloc(count, sizeof(struct gather_copy));
    if (!attempt->copies || !attempt->blocks || !attempt->gather.copies)
        return -ENOMEM;
    attempt->gather.required = reading->layout->required;
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
    size_t u = layout_payload_size(reading->layout, reading->stripe);

    if (reading->layout->format != SHARE_CHECKED)
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
    bool checked = reading->layout->format == SHARE_CHECKED;

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
        reads[i].copy = copy;
        reads[i].offset = layout_block_offset(layout_of(reading, copy), reading->stripe);
        reads[i].size = layout_block_size(reading->layout, reading->stripe);
    }
    int r = copies_read(reads, count);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        note_read(attempt, places[i], &reads[i]);
    return 0;
}

/* Decodes from the blocks at k PLACES. */
static int decode(const struct attempt *attempt, const size_t places[])
{
    const struct stripe_reading *reading = attempt->reading;
    const uint8_t *blocks[255];
    uint8_t indices[255];

    for (unsigned s = 0; s < reading->layout->required; s++) {
        indices[s] = (uint8_t)attempt->gather.copies[places[s]].index;
        blocks[s] = attempt->blocks[places[s]].data;
    }
    return stripe_decode(reading->layout, reading->stripe, indices, blocks, reading->data);
}

/* Sets *RET to whether the block at PLACE is what the stripe that was decoded makes it. */
static int compare(const struct attempt *attempt, size_t place, bool *ret)
{
    const struct stripe_reading *reading = attempt->reading;
    size_t size = layout_block_size(reading->layout, reading->stripe);
    uint8_t index = (uint8_t)attempt->gather.copies[place].index;
    cleanup_encoder struct encoder *encoder = NULL;
    cleanup_buffer struct buffer block = NO_BUFFER;

    int r = encoder_new(reading->layout, 1, &index, &encoder);
    if (r == 0)
        r = buffer_take(size, &block);
    if (r == 0)
        r = encoder_run(encoder, reading->stripe, reading->data, &block.data);
    if (r == 0)
        *ret = memcmp(block.data, attempt->blocks[place].data, size) == 0;
    return r;
}

/* The next set of K of COUNT numbers in order; false after the last one. */
static bool next_combination(size_t chosen[], size_t k, size_t count)
{
    for (size_t i = k; i-- > 0;) {
        if (chosen[i] < count - k + i) {
            chosen[i]++;
            for (size_t j = i + 1; j < k; j++)
                chosen[j] = chosen[j - 1] + 1;
            return true;
        }
    }
    return false;
}

/*
 * How many of the blocks at PLACES are not what the decoded stripe makes them, which is then
 * marked in WRONG.
 */
static int count_wrong(const struct attempt *attempt, const size_t places[], size_t count,
                       bool wrong[], size_t *ret)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        bool is_right = false;
        int r = compare(attempt, places[i], &is_right);
        if (r < 0)
            return r;
        wrong[i] = !is_right;
        found += !is_right;
    }
    *ret = found;
    return 0;
}

/*
 * Tries sets of k of the blocks at PLACES until one gives a stripe that at most TOLERATED of the
 * others contradict. -EBADMSG where none does.
 */
static int search(const struct attempt *attempt, const size_t places[], size_t count,
                  size_t tolerated, bool wrong[])
{
    unsigned k = attempt->gather.required;
    size_t chosen[255], some[255], found;

    for (size_t i = 0; i < k; i++)
        chosen[i] = i;
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        for (size_t i = 0; i < k; i++)
            some[i] = places[chosen[i]];
        int r = decode(attempt, some);
        if (r == 0)
            r = count_wrong(attempt, places, count, wrong, &found);
        if (r == 0 && found <= tolerated)
            return 0;
        if (r < 0 && r != -EBADMSG && r != -EINVAL) /* that is two blocks of one share */
            return r;
        if (!next_combination(chosen, k, count))
            break;
    }
    return -EBADMSG;
}

/* What an accepted stripe says of the copies: with whom it agrees, and with whom not. */
static void learn(const struct attempt *attempt, const size_t places[], size_t count,
                  const bool wrong[])
{
    const struct stripe_reading *reading = attempt->reading;
    const uint8_t *digest = attempt->gather.copies[places[0]].digest;

    pthread_mutex_lock(reading->lock);
    for (size_t i = 0; i < attempt->gather.count; i++) {
        const struct gather_copy *known = &attempt->gather.copies[i];
        bool agrees = known->block == BLOCK_GOOD && memcmp(known->digest, digest, HASH_SIZE) == 0;
        if (known->block != BLOCK_GOOD || known->role == COPY_HELPER)
            continue;
        attempt->copies[i]->trusted = agrees;
        attempt->copies[i]->distrusted = !agrees;
    }
    for (size_t i = 0; wrong && i < count; i++) {
        if (wrong[i]) {
            attempt->copies[places[i]]->trusted = false;
            attempt->copies[places[i]]->distrusted = true;
        }
    }
    pthread_mutex_unlock(reading->lock);
}

static void log_wrong(const struct attempt *attempt, const size_t places[], size_t count,
                      const bool wrong[])
{
    for (size_t i = 0; i < count; i++) {
        if (wrong[i])
            log_once("%s: store %s: block %llu is wrong: the other shares contradict it",
                     attempt->reading->path, store_name(attempt->copies[places[i]]->store),
                     (unsigned long long)attempt->reading->stripe);
    }
}

/* Reads all blocks that are left. */
static int read_rest(struct attempt *attempt)
{
    cleanup_free size_t *places = calloc(attempt->gather.count, sizeof *places);

    if (!places)
        return -ENOMEM;
    size_t count = gather_rest(&attempt->gather, places, attempt->gather.count);
    return count > 0 ? read_blocks(attempt, places, count) : 0;
}

/*
 * The way out where the blocks at hand do not give a stripe that can be stood for: a lie is among
 * them, or (in formats without checks) a damaged one. All others are read, and what most of them
 * say is taken. Checked stripes have a digest: there, any number of lies is tolerated. Elsewhere
 * as many as leave only one stripe possible: with m blocks half of m - k.
 */
static int settle(struct attempt *attempt)
{
    bool checked = attempt->reading->layout->format == SHARE_CHECKED;
    cleanup_free size_t *places = calloc(attempt->gather.count, sizeof *places);
    cleanup_free bool *wrong = calloc(attempt->gather.count, sizeof *wrong);
    size_t count;

    if (!places || !wrong)
        return -ENOMEM;
    int r = read_rest(attempt);
    if (r == 0)
        r = gather_select(&attempt->gather, checked, places, &count);
    if (r < 0)
        return r;
    size_t spare = count - attempt->gather.required;
    r = search(attempt, places, count, checked ? count : spare / 2, wrong);
    if (r < 0)
        return r;
    log_wrong(attempt, places, count, wrong);
    if (checked)
        learn(attempt, places, count, wrong);
    return 0;
}

/* Reads what gather asks for, until it asks for nothing more. */
static int read_wanted(struct attempt *attempt)
{
    size_t places[256], count;

    while ((count = gather_next(&attempt->gather, places)) > 0) {
        int r = read_blocks(attempt, places, count);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Without checks: one more share, if there is one, has to agree. */
static int restore_unchecked(struct attempt *attempt, size_t places[])
{
    unsigned required = attempt->gather.required;
    bool agrees = true;
    size_t count;

    attempt->gather.required = required + 1;
    int r = read_wanted(attempt);
    attempt->gather.required = required;
    if (r == 0)
        r = gather_select(&attempt->gather, false, places, &count);
    if (r == 0)
        r = decode(attempt, places);
    if (r == 0 && count > required)
        r = compare(attempt, places[required], &agrees);
    return r == 0 && !agrees ? settle(attempt) : r;
}

static int restore_checked(struct attempt *attempt, size_t places[])
{
    size_t count;

    int r = read_wanted(attempt);
    if (r == 0)
        r = gather_select(&attempt->gather, false, places, &count);
    if (r == 0)
        r = decode(attempt, places);
    if (r == -EBADMSG)
        return settle(attempt);
    if (r == 0)
        learn(attempt, places, count, NULL);
    return r;
}

static int restore(struct attempt *attempt)
{
    cleanup_free size_t *places = calloc(attempt->gather.count, sizeof *places);

    if (!places)
        return -ENOMEM;
    return attempt->reading->layout->format == SHARE_CHECKED ? restore_checked(attempt, places)
                                                             : restore_unchecked(attempt, places);
}

int stripe_reading_run(struct stripe_reading *reading)
{
    struct attempt attempt;

    int r = attempt_start(&attempt, reading);
    if (r == 0)
        r = restore(&attempt);
    attempt_clear(&attempt);
    return r;
}
