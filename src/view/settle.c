/* SPDX-License-Identifier: MIT */
#include "view/settle.h"

#include "base/log.h"

#include <limits.h>

enum {
    /* Sets of blocks that are tried where one of them must be a lie, and the bytes that may be
     * decoded for it: an error is an answer, too, but not after minutes. */
    TRIES_MAX = 4096,
    TRIES_BYTES_MAX = INT_MAX,
    /* Bytes of a file that are looked through to settle what one stripe is. */
    COMPARED_MAX = 1 << 30,
};

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
        int r = attempt_compare(attempt, places[i], &is_right);
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
        int r = attempt_decode(attempt, some);
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

/* Says which blocks are wrong, though they verify; their copies are read last from here on. */
static void note_wrong(const struct attempt *attempt, const size_t places[], size_t count,
                       const bool wrong[])
{
    for (size_t i = 0; i < count; i++) {
        struct copy *copy = attempt->copies[places[i]];
        if (!wrong[i])
            continue;
        pthread_mutex_lock(attempt->reading->lock);
        copy->forged = attempt->reading->version->layout.format == SHARE_CHECKED;
        copy->trusted = 0;
        pthread_mutex_unlock(attempt->reading->lock);
        log_once("%s: store %s: block %llu is wrong: the other shares contradict it",
                 attempt->reading->path, store_name(copy->store),
                 (unsigned long long)attempt->reading->stripe);
    }
}

static int search_and_note(const struct attempt *attempt, const size_t places[], size_t count,
                           size_t tolerated)
{
    cleanup_free bool *wrong = calloc(count, sizeof *wrong);

    if (!wrong)
        return -ENOMEM;
    int r = search(attempt, places, count, tolerated, wrong);
    if (r == 0)
        note_wrong(attempt, places, count, wrong);
    return r;
}

int settle_unchecked(struct attempt *attempt)
{
    cleanup_free size_t *places = calloc(attempt->gather.count, sizeof *places);
    size_t place;

    if (!places)
        return -ENOMEM;
    int r = attempt_read_rest(attempt);
    if (r == 0)
        r = gather_find(&attempt->gather, &place);
    if (r < 0)
        return r;
    size_t count = gather_list(&attempt->gather, place, false, places);
    return search_and_note(attempt, places, count, (count - attempt->gather.required) / 2);
}

/* Notes what all blocks say of a stripe that was given. */
static int note_given(const struct stripe_reading *reading, uint64_t stripe, size_t numbers[])
{
    struct history *history = reading->history;
    struct stripe_reading earlier = *reading;
    cleanup_attempt struct attempt attempt = {0};

    earlier.stripe = stripe;
    int r = attempt_start(&attempt, &earlier);
    if (r == 0)
        r = attempt_read_rest(&attempt);
    if (r < 0)
        return r;
    attempt_number(&attempt, numbers);
    return contest_note(&history->contest, &attempt.gather, numbers,
                        history_digest(history, stripe));
}

/*
 * Blocks contradict each other for the first time: looks through all that was given. The history is
 * locked.
 */
static int begin_contest(const struct attempt *attempt, size_t numbers[])
{
    const struct stripe_reading *reading = attempt->reading;
    struct history *history = reading->history;
    int r = 0;

    if (history->given > COMPARED_MAX / layout_full_stripe_size(&reading->version->layout))
        history->contest.blind = true;
    for (uint64_t i = 0; i < history->stripes && r == 0 && !history->contest.blind; i++) {
        if (history_digest(history, i))
            r = note_given(reading, i, numbers);
    }
    history->contested = r == 0;
    return r;
}

/* Restores the stripe from the group that PLACE is in: in general from its first k blocks. */
static int restore_group(const struct attempt *attempt, size_t place, size_t places[])
{
    gather_list(&attempt->gather, place, false, places);
    int r = attempt_decode(attempt, places);

    if (r != -EBADMSG)
        return r;
    size_t count = gather_list(&attempt->gather, place, true, places);
    return search_and_note(attempt, places, count, count);
}

/* With the history locked, and all blocks read. NUMBERS and PLACES have room for all copies. */
static int choose_and_restore(struct attempt *attempt, size_t numbers[], size_t places[])
{
    struct history *history = attempt->reading->history;
    size_t place = 0;
    int r = 0;

    if (!history->contested && !gather_agrees(&attempt->gather))
        r = begin_contest(attempt, numbers);
    attempt_number(attempt, numbers);
    if (r == 0)
        r = contest_choose(&history->contest, &attempt->gather, numbers, &place);
    if (r == 0)
        r = restore_group(attempt, place, places);
    if (r < 0)
        return r;
    const uint8_t *digest = attempt->gather.copies[place].digest;
    attempt_learn(attempt, !atomic_load(&history->begun), digest);
    history_add(history, attempt->reading->stripe, digest);
    return history->contested ? contest_note(&history->contest, &attempt->gather, numbers, digest)
                              : 0;
}

int settle_checked(struct attempt *attempt)
{
    struct history *history = attempt->reading->history;
    cleanup_free size_t *numbers = calloc(attempt->gather.count, sizeof *numbers);
    cleanup_free size_t *places = calloc(attempt->gather.count, sizeof *places);

    if (!numbers || !places)
        return -ENOMEM;
    int r = attempt_read_rest(attempt);
    if (r < 0)
        return r;
    pthread_mutex_lock(&history->lock);
    r = choose_and_restore(attempt, numbers, places);
    pthread_mutex_unlock(&history->lock);
    return r;
}
