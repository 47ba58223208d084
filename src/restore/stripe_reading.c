/* SPDX-License-Identifier: MIT */
#include "restore/stripe_reading.h"

#include "base/clock.h"
#include "base/log.h"
#include "restore/binding.h"
#include "trust/solve.h"

#include <string.h>

enum {
    /* Sets of blocks that are tried where one of them must be a lie: an error is an answer, too. */
    TRIES_MAX = 4096,
    TIME_MAX = CLOCK_SECOND,
};

/* Says which block is wrong though others stand for the stripe; the copy is read last from here. */
static void note_wrong(const struct attempt *attempt, size_t place)
{
    const struct stripe_reading *reading = attempt->reading;
    struct copy *copy = attempt->copies[place];

    pthread_mutex_lock(reading->lock);
    copy->forged = true;
    damage_add(&copy->damage, reading->stripe);
    pthread_mutex_unlock(reading->lock);
    log_once("%s: store %s: block %llu is wrong: the other shares contradict it", reading->path,
             store_name(copy->store), (unsigned long long)reading->stripe);
}

/* Formats without checks. */

/* Counts the copies of the version, and those of them that changed since the file was opened. */
static size_t count_members(const struct attempt *attempt, bool bad, unsigned *ret_withdrawn)
{
    const struct gather *gather = &attempt->gather;
    size_t members = 0;

    *ret_withdrawn = 0;
    pthread_mutex_lock(attempt->reading->lock);
    for (size_t i = 0; i < gather->count; i++) {
        if (gather->copies[i].role == COPY_USELESS)
            continue;
        bool changed = attempt->copies[i]->changed;
        members += changed || bad || gather->copies[i].block != BLOCK_BAD;
        *ret_withdrawn += changed;
    }
    pthread_mutex_unlock(attempt->reading->lock);
    return members;
}

/* Reads blocks of so many shares that, if they agree, the others cannot change anything. */
static int read_enough(struct attempt *attempt)
{
    struct gather *gather = &attempt->gather;
    unsigned needed = gather->needed, k = attempt->reading->version->layout.required, withdrawn;
    size_t enough = solve_enough(k, count_members(attempt, true, &withdrawn));
    if (attempt->reading->whole || attempt->reading->untimed)
        return attempt_read_rest(attempt);
    gather->needed = enough > needed ? (unsigned)enough : needed;
    int r = attempt_read_wanted(attempt);
    gather->needed = needed;
    return r;
}

/* Lists the good blocks, the first of each share first; returns how many, and of how many shares.
 */
static size_t list_good(const struct attempt *attempt, size_t places[], size_t *ret_shares)
{
    const struct gather *gather = &attempt->gather;
    bool seen[256] = {false}, passed[256] = {false};
    size_t count = 0;

    for (size_t i = 0; i < gather->count; i++) {
        if (gather->copies[i].block == BLOCK_GOOD && !seen[gather->copies[i].index]) {
            seen[gather->copies[i].index] = true;
            places[count++] = i;
        }
    }
    *ret_shares = count;
    for (size_t i = 0; i < gather->count; i++) {
        if (gather->copies[i].block != BLOCK_GOOD)
            continue;
        if (passed[gather->copies[i].index])
            places[count++] = i;
        passed[gather->copies[i].index] = true;
    }
    return count;
}

static int solve(struct attempt *attempt, const size_t places[], size_t count, unsigned withdrawn)
{
    const struct stripe_reading *reading = attempt->reading;
    cleanup_free uint8_t *indices = calloc(count + 1, 1);
    cleanup_free const uint8_t **blocks = calloc(count + 1, sizeof(uint8_t *));
    cleanup_free bool *wrong = calloc(count + 1, sizeof *wrong);

    if (!indices || !blocks || !wrong)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        indices[i] = (uint8_t)attempt->gather.copies[places[i]].index;
        blocks[i] = attempt->blocks[places[i]].data;
    }
    int r = solve_stripe(&reading->version->layout, reading->stripe, indices, blocks, count,
                         withdrawn, reading->data, wrong, &attempt->spare);
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (wrong[i])
            note_wrong(attempt, places[i]);
    }
    return r;
}

/*
 * Returns 1 where all blocks of COUNT different shares agree, and the stripe is decoded. The first
 * k always do, but for what fills up the end of the file: where that is not zeros, one of them is
 * wrong.
 */
static int agree(const struct attempt *attempt, const size_t places[], size_t count)
{
    const struct share_layout *layout = &attempt->reading->version->layout;
    uint64_t stripe = attempt->reading->stripe;
    size_t k = layout->required;
    bool filled = k * layout_payload_size(layout, stripe) > layout_stripe_size(layout, stripe);
    bool same = true;

    int r = attempt_decode(attempt, places);
    for (size_t i = filled ? 0 : k; r == 0 && same && i < count; i++)
        r = attempt_compare(attempt, places[i], &same);
    return r < 0 ? r : same;
}

static int restore_unchecked(struct attempt *attempt, size_t places[])
{
    unsigned k = attempt->reading->version->layout.required, withdrawn;
    size_t shares = 0;

    int r = read_enough(attempt);
    if (r < 0)
        return r;
    size_t members = count_members(attempt, false, &withdrawn);
    size_t good = list_good(attempt, places, &shares);
    if (attempt->reading->untimed && shares >= attempt->gather.needed) {
        r = agree(attempt, places, good);
        return r < 0 ? r : r > 0 && withdrawn == 0 ? 0 : -EBADMSG;
    }
    if (shares >= k && shares >= solve_enough(k, members)) {
        r = agree(attempt, places, shares);
        if (r != 0)
            return r < 0 ? r : 0;
    }
    r = attempt_read_rest(attempt);
    if (r < 0)
        return r;
    size_t count = list_good(attempt, places, &shares);
    count_members(attempt, false, &withdrawn);
    return shares < attempt->gather.needed ? -ENODATA : solve(attempt, places, count, withdrawn);
}

/* The format with checks. */

/* Tries sets of k blocks of the group, until one gives what its digest stands for. */
static int search(const struct attempt *attempt, const size_t places[], size_t count)
{
    unsigned k = attempt->reading->version->layout.required;
    unsigned seed = (unsigned)attempt->reading->stripe;
    bool all = count_combinations(k, count, TRIES_MAX) <= TRIES_MAX;
    uint64_t end = clock_now() + TIME_MAX;
    size_t chosen[256], some[256];

    for (size_t i = 0; i < k; i++)
        chosen[i] = i;
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        if (clock_now() >= end)
            return -ETIMEDOUT;
        for (size_t i = 0; i < k; i++)
            some[i] = places[chosen[i]];
        int r = attempt_decode(attempt, some);
        if (r == 0 || (r != -EBADMSG && r != -EINVAL)) /* -EINVAL: two blocks are of one share */
            return r;
        if (!all)
            random_combination(chosen, k, count, &seed);
        else if (!next_combination(chosen, k, count))
            break;
    }
    return -EBADMSG;
}

/* Decodes the group of the block at PLACE: in general from its first k blocks. */
static int decode_group(struct attempt *attempt, size_t place, size_t places[])
{
    gather_list(&attempt->gather, place, false, places);
    int r = attempt_decode(attempt, places);
    if (r != -EBADMSG)
        return r;
    /* A block verifies, and is not the stripe's: somebody made it so. */
    r = attempt_read_rest(attempt);
    if (r < 0)
        return r;
    size_t count = gather_list(&attempt->gather, place, true, places);
    r = search(attempt, places, count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        bool same = false;
        r = attempt_compare(attempt, places[i], &same);
        if (r == 0 && !same)
            note_wrong(attempt, places[i]);
    }
    return r;
}

static bool is_in_group(const struct attempt *attempt, size_t i, size_t place)
{
    const struct gather_copy *copies = attempt->gather.copies;

    return copies[i].block == BLOCK_GOOD &&
           memcmp(copies[i].digest, copies[place].digest, HASH_SIZE) == 0;
}

/* Chooses again, by what stripes that other threads gave meanwhile say of the copies. */
static int choose_again(struct attempt *attempt)
{
    const struct stripe_reading *reading = attempt->reading;
    size_t place;

    for (size_t i = 0; i < attempt->gather.count; i++) {
        attempt->gather.copies[i].trusted =
            attempt->copies[i]->trusted || !reading->trust->contested || reading->apart;
    }
    return gather_choose(&attempt->gather, &place);
}

/*
 * Gives the stripe of the group at PLACE, and notes whom to trust from here on: where blocks
 * contradict each other, those in the group; where not all members were looked at, these and the
 * ones that have been seen to agree.
 */
static int give(struct attempt *attempt, size_t place, bool contradicted, bool all_seen)
{
    const struct stripe_reading *reading = attempt->reading;

    pthread_mutex_lock(reading->lock);
    int r = choose_again(attempt);
    for (size_t i = 0; r == 0 && i < attempt->gather.count; i++) {
        struct copy *copy = attempt->copies[i];
        bool unseen = !all_seen && attempt->gather.copies[i].block != BLOCK_BAD;
        bool good = attempt->gather.copies[i].block == BLOCK_GOOD;
        if ((contradicted || unseen) && !is_in_group(attempt, i, place))
            copy->trusted = false;
        copy->differs |= good && contradicted && !is_in_group(attempt, i, place);
    }
    reading->trust->contested |= r == 0 && contradicted;
    pthread_mutex_unlock(reading->lock);
    return r;
}

/* Holds copies without a header against all versions, once, where they might complete the stripe.
 */
static int bind_more(struct attempt *attempt)
{
    const struct stripe_reading *reading = attempt->reading;
    bool done;

    pthread_mutex_lock(reading->lock);
    done = reading->trust->bound;
    pthread_mutex_unlock(reading->lock);
    int r = done ? 0 : binding_run(reading);
    for (size_t i = 0; r == 0 && i < attempt->gather.count; i++)
        attempt->gather.copies[i].bound = attempt->copies[i]->bound;
    return r;
}

/* Reads until the members at hand settle the stripe. Sets *RET_SEEN to whether all were looked at.
 */
static int read_and_look(struct attempt *attempt, bool *ret_seen)
{
    const struct stripe_reading *reading = attempt->reading;
    size_t place;

    *ret_seen = true;
    if (reading->whole || attempt->contested)
        return attempt_read_rest(attempt);
    int r = attempt_read_wanted(attempt);
    if (r == 0 && gather_choose(&attempt->gather, &place) == 0)
        r = attempt_peek(attempt, place, ret_seen);
    if (r == 0 && gather_is_contradicted(&attempt->gather) && !reading->partial) {
        *ret_seen = true;
        r = attempt_read_rest(attempt);
    }
    return r;
}

/* Notes which copies are on which side, for the first stripe that is in conflict. */
static void note_conflict(const struct attempt *attempt)
{
    struct content_trust *trust = attempt->reading->trust;
    uint64_t stripe = attempt->reading->stripe;

    pthread_mutex_lock(attempt->reading->lock);
    if (!trust->conflict || stripe < trust->conflict_stripe) {
        trust->conflict = true;
        trust->conflict_stripe = stripe;
        for (size_t i = 0; i < attempt->gather.count; i++)
            attempt->copies[i]->side = gather_side(&attempt->gather, i);
    }
    pthread_mutex_unlock(attempt->reading->lock);
}

static int restore_checked(struct attempt *attempt, size_t places[])
{
    const struct gather *gather = &attempt->gather;
    bool seen;
    size_t place;

    int r = read_and_look(attempt, &seen);
    if (r < 0)
        return r;
    if (gather_is_contradicted(gather) && attempt->reading->partial)
        return -EAGAIN;
    r = gather_has_unbound(gather) ? bind_more(attempt) : 0;
    if (r == 0)
        r = gather_choose(gather, &place);
    if (r == -ENOTUNIQ && !attempt->missed)
        note_conflict(attempt);
    if (r == 0)
        r = decode_group(attempt, place, places);
    return r < 0 ? r : give(attempt, place, gather_is_contradicted(gather), seen);
}

int stripe_reading_try(struct attempt *attempt)
{
    cleanup_free size_t *places = calloc(attempt->gather.count + 1, sizeof *places);

    if (!places)
        return -ENOMEM;
    int r = formats[attempt->reading->version->layout.format]->has_checks
                ? restore_checked(attempt, places)
                : restore_unchecked(attempt, places);
    bool unsettled = r == -ENODATA || r == -ENOTUNIQ || r == -EBADMSG;
    return unsettled && attempt->missed ? -ETIME : r;
}

int stripe_reading_run(struct stripe_reading *reading)
{
    cleanup_attempt struct attempt attempt = {0};

    int r = attempt_start(&attempt, reading);
    if (r == 0)
        r = stripe_reading_try(&attempt);
    return (r == -ENODATA || r == -ETIME) && reading->partial ? -EAGAIN : r;
}
