/* SPDX-License-Identifier: MIT */
#include "view/stripe_reading.h"

#include "view/attempt.h"
#include "view/settle.h"

/* Without checks: one more share, if there is one, has to agree. */
static int restore_unchecked(struct attempt *attempt, size_t places[])
{
    unsigned required = attempt->gather.required;
    bool agrees = true;
    size_t place, count = 0;

    attempt->gather.required = required + 1;
    int r = attempt_read_wanted(attempt);
    attempt->gather.required = required;
    if (r == 0)
        r = gather_find(&attempt->gather, &place);
    if (r < 0)
        return r;
    count = gather_list(&attempt->gather, place, false, places);
    r = attempt_decode(attempt, places);
    if (r == 0 && count > required)
        r = attempt_compare(attempt, places[required], &agrees);
    return r == 0 && !agrees ? settle_unchecked(attempt) : r;
}

/*
 * Gives a stripe, unless what other threads gave meanwhile does not go with it, or blocks were seen
 * to contradict each other.
 */
static bool give(const struct attempt *attempt, const uint8_t digest[HASH_SIZE])
{
    struct history *history = attempt->reading->history;

    pthread_mutex_lock(&history->lock);
    bool is_first = !atomic_load(&history->begun);
    bool goes_on = !history->contested && (is_first || attempt_goes_on(attempt, digest));
    if (goes_on) {
        history_add(history, attempt->reading->stripe, digest);
        attempt_learn(attempt, is_first, digest);
    }
    pthread_mutex_unlock(&history->lock);
    return goes_on;
}

static int settle(struct attempt *attempt)
{
    return attempt->reading->partial ? -EAGAIN : settle_checked(attempt);
}

static int restore_checked(struct attempt *attempt, size_t places[])
{
    size_t place;

    if (atomic_load(&attempt->reading->history->contested))
        return settle(attempt);
    int r = attempt_read_wanted(attempt);
    if (r < 0)
        return r;
    if (!gather_agrees(&attempt->gather))
        return settle(attempt);
    r = gather_find(&attempt->gather, &place);
    if (r < 0)
        return r;
    gather_list(&attempt->gather, place, false, places);
    r = attempt_decode(attempt, places);
    if (r == -EBADMSG || (r == 0 && !give(attempt, attempt->gather.copies[place].digest)))
        return settle(attempt);
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
    if (r == 0)
        r = restore(&attempt);
    return r == -ENODATA && reading->partial ? -EAGAIN : r;
}
