/* SPDX-License-Identifier: MIT */
#include "view/stripe_reading.h"

#include "base/log.h"
#include "stripe/decode.h"
#include "stripe/encode.h"
#include "view/attempt.h"

#include <limits.h>
#include <string.h>

enum {
    /* Sets of blocks that are tried where one of them must be a lie, and the bytes that may be
     * decoded for it: an error is an answer, too, but not after minutes. */
    TRIES_MAX = 4096,
    TRIES_BYTES_MAX = INT_MAX,
    /* Larger files are not looked through to settle what one stripe is. */
    COMPARED_MAX = 1 << 30,
};

/* Decodes from the blocks at k PLACES. */
static int decode(const struct attempt *attempt, const size_t places[])
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

/* Sets *RET to whether the block at PLACE is what the stripe that was decoded makes it. */
static int compare(const struct attempt *attempt, size_t place, bool *ret)
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

/* Any set of K of COUNT numbers, in order, each as likely as the others. */
static void random_combination(size_t chosen[], size_t k, size_t count, unsigned *seed)
{
    size_t taken = 0;

    for (size_t i = 0; i < count && taken < k; i++) {
        if ((size_t)rand_r(seed) % (count - i) < k - taken)
            chosen[taken++] = i;
    }
}

/* How many sets of K of COUNT there are; any number above LIMIT where there are more than it. */
static uint64_t count_combinations(size_t k, size_t count, uint64_t limit)
{
    uint64_t sets = 1;

    if (k > count - k)
        k = count - k;
    for (size_t i = 1; i <= k && sets <= limit; i++)
        sets = sets * (count - k + i) / i;
    return sets;
}

static unsigned tries_for(const struct share_layout *layout)
{
    size_t tries = TRIES_BYTES_MAX / layout_full_stripe_size(layout) + 1;

    return tries < TRIES_MAX ? (unsigned)tries : TRIES_MAX;
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
 * Tries sets of k of the blocks at PLACES, all or (where they are many) some of them, until one
 * gives a stripe that at most TOLERATED of the others contradict. -EBADMSG where none does.
 */
static int search(const struct attempt *attempt, const size_t places[], size_t count,
                  size_t tolerated, bool wrong[])
{
    unsigned k = attempt->gather.required;
    size_t chosen[255], some[255], found;

    unsigned tries = tries_for(&attempt->reading->version->layout);
    bool all = count_combinations(k, count, tries) <= tries;
    unsigned seed = (unsigned)attempt->reading->stripe;
    for (size_t i = 0; i < k; i++)
        chosen[i] = i;
    for (; tries > 0; tries--) {
        for (size_t i = 0; i < k; i++)
            some[i] = places[chosen[i]];
        int r = decode(attempt, some);
        if (r == 0)
            r = count_wrong(attempt, places, count, wrong, &found);
        if (r == 0 && found <= tolerated)
            return 0;
        if (r < 0 && r != -EBADMSG && r != -EINVAL) /* that is two blocks of one share */
            return r;
        if (!all)
            random_combination(chosen, k, count, &seed);
        else if (!next_combination(chosen, k, count))
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

/* Whether the block at PLACE was found good in OTHER, which is of another stripe; its digest. */
static const uint8_t *digest_in(const struct attempt *other, const struct copy *copy)
{
    for (size_t i = 0; i < other->gather.count; i++) {
        if (other->copies[i] == copy && other->gather.copies[i].block == BLOCK_GOOD)
            return other->gather.copies[i].digest;
    }
    return NULL;
}

/* Whether in OTHER, of another stripe, a copy at one of PLACES contradicts one in AGAINST. */
static bool differ_in(const struct attempt *other, const struct attempt *attempt,
                      const size_t places[], size_t count, const bool against[])
{
    for (size_t i = 0; i < attempt->gather.count; i++) {
        const uint8_t *theirs = against[i] ? digest_in(other, attempt->copies[i]) : NULL;
        for (size_t p = 0; theirs && p < count; p++) {
            const uint8_t *ours = digest_in(other, attempt->copies[places[p]]);
            if (ours && memcmp(ours, theirs, HASH_SIZE) != 0)
                return true;
        }
    }
    return false;
}

/* Looks through all other stripes for one where the copies at PLACES contradict those AGAINST. */
static int find_difference(const struct attempt *attempt, const size_t places[], size_t count,
                           const bool against[], bool *ret)
{
    struct stripe_reading elsewhere = *attempt->reading;
    uint64_t stripes = layout_stripes(&elsewhere.version->layout);

    for (uint64_t stripe = 0; stripe < stripes && !*ret; stripe++) {
        cleanup_attempt struct attempt other = {0};
        elsewhere.stripe = stripe;
        if (stripe == attempt->reading->stripe)
            continue;
        int r = attempt_start(&other, &elsewhere);
        if (r == 0)
            r = attempt_read_rest(&other);
        if (r < 0)
            return r;
        *ret = differ_in(&other, attempt, places, count, against);
    }
    return 0;
}

/* As above, but where the file is too large, or is known to have two contents, they differ. */
static int differ_elsewhere(const struct attempt *attempt, const size_t places[], size_t count,
                            const bool against[], bool *ret)
{
    const struct stripe_reading *reading = attempt->reading;

    pthread_mutex_lock(reading->lock);
    *ret = *reading->split || reading->version->layout.source_size > COMPARED_MAX;
    pthread_mutex_unlock(reading->lock);
    int r = find_difference(attempt, places, count, against, ret);
    pthread_mutex_lock(reading->lock);
    *reading->split = *reading->split || *ret;
    pthread_mutex_unlock(reading->lock);
    return r;
}

/*
 * The shares that the file came from until now agree on something else than k others. Either these
 * have another content that claims to be the same version, and then the two differ in other stripes
 * as well, or nowhere else, which makes no difference; or the blocks of the former belong
 * elsewhere. So the others are taken unless they differ in another stripe.
 */
static int weigh(struct attempt *attempt, bool twins, size_t places[], size_t *ret_count)
{
    cleanup_free bool *against = calloc(attempt->gather.count, sizeof *against);
    bool differ = false;

    if (!against)
        return -ENOMEM;
    for (size_t i = 0; i < attempt->gather.count; i++) {
        struct gather_copy *copy = &attempt->gather.copies[i];
        against[i] = copy->trusted && copy->block == BLOCK_GOOD;
        copy->trusted = false;
    }
    int r = gather_select(&attempt->gather, twins, places, ret_count);
    for (size_t i = 0; r == 0 && i < *ret_count; i++)
        against[places[i]] = false;
    if (r == 0)
        r = differ_elsewhere(attempt, places, *ret_count, against, &differ);
    return r == 0 && differ ? -EBADMSG : r;
}

/*
 * The way out where the blocks at hand do not give a stripe that can be stood for: a lie is among
 * them, or (in formats without checks) a damaged one. All others are read, and what most of them
 * say is taken. Checked stripes have a digest: there, any number of lies is tolerated. Elsewhere
 * as many as leave only one stripe possible: with m blocks half of m - k.
 */
static int settle(struct attempt *attempt)
{
    bool checked = attempt->reading->version->layout.format == SHARE_CHECKED;
    cleanup_free size_t *places = calloc(attempt->gather.count, sizeof *places);
    cleanup_free bool *wrong = calloc(attempt->gather.count, sizeof *wrong);
    size_t count = 0;

    if (!places || !wrong)
        return -ENOMEM;
    int r = attempt_read_rest(attempt);
    if (r == 0)
        r = gather_select(&attempt->gather, checked, places, &count);
    if (r == -EBADMSG && checked)
        r = weigh(attempt, true, places, &count);
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

/* Without checks: one more share, if there is one, has to agree. */
static int restore_unchecked(struct attempt *attempt, size_t places[])
{
    unsigned required = attempt->gather.required;
    bool agrees = true;
    size_t count = 0;

    attempt->gather.required = required + 1;
    int r = attempt_read_wanted(attempt);
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
    size_t count = 0;

    int r = attempt_read_wanted(attempt);
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
    return attempt->reading->version->layout.format == SHARE_CHECKED
               ? restore_checked(attempt, places)
               : restore_unchecked(attempt, places);
}

int stripe_reading_run(struct stripe_reading *reading)
{
    cleanup_attempt struct attempt attempt = {0};

    int r = attempt_start(&attempt, reading);
    return r < 0 ? r : restore(&attempt);
}
