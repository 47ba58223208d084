/* SPDX-License-Identifier: MIT */
#include "restore/binding.h"

#include "base/lock.h"

#include <string.h>

enum { STRIPES_MAX = 4096 };

/* How the blocks of a copy go with those of a version's members. */
struct agreement {
    bool agrees, contradicts;
};

/* No verdict can follow from what a copy was not found to be of. */
static void note_missed(const struct stripe_reading *reading)
{
    HOLD(reading->lock);
    reading->trust->missed = true;
}

/* Calls LOOK at one stripe after the other, evenly spaced where there are many, until it returns
 * something else than 0. */
static int each_stripe(const struct stripe_reading *reading,
                       int (*look)(void *context, const struct attempt *attempt), void *context)
{
    uint64_t stripes = layout_stripes(&reading->version->layout);
    uint64_t count = stripes < STRIPES_MAX ? stripes : STRIPES_MAX;
    int r = 0;

    for (uint64_t i = 0; r == 0 && i < count; i++) {
        struct stripe_reading at = *reading;
        cleanup_attempt struct attempt attempt = {0};
        at.stripe = count == stripes ? i : i * (stripes / count);
        r = stripe_reading_is_stopped(reading) ? -ECANCELED : attempt_start(&attempt, &at);
        if (r == 0)
            r = attempt_read_rest(&attempt);
        if (attempt.missed)
            note_missed(reading);
        if (r == 0)
            r = look(context, &attempt);
    }
    return r;
}

static bool is_good(const struct attempt *attempt, size_t place)
{
    return attempt->gather.copies[place].block == BLOCK_GOOD;
}

static bool have_same_digest(const struct attempt *attempt, size_t a, size_t b)
{
    return is_good(attempt, a) && is_good(attempt, b) &&
           memcmp(attempt->gather.copies[a].digest, attempt->gather.copies[b].digest, HASH_SIZE) ==
               0;
}

static bool is_of(const struct copy *copy, const struct share_header *version)
{
    return copy->facts.has_header && version_is_same(&copy->facts.header, version);
}

/* Holds the block at PLACE against those of VERSION's members. */
static void compare(const struct attempt *attempt, size_t place, const struct share_header *version,
                    struct agreement *match)
{
    bool any = false, same = false;

    for (size_t i = 0; i < attempt->gather.count; i++) {
        if (!is_of(attempt->copies[i], version) || !is_good(attempt, i))
            continue;
        any = true;
        same |= have_same_digest(attempt, place, i);
    }
    match->agrees |= same;
    match->contradicts |= any && !same;
}

/* Matches of all copies without a header with the versions of all others: row by row. */
struct matching {
    const struct copies *copies;
    struct agreement *matches;
};

static struct agreement *match_of(const struct matching *matching, size_t copy, size_t version)
{
    return &matching->matches[copy * matching->copies->count + version];
}

static int look_at_all(void *context, const struct attempt *attempt)
{
    struct matching *matching = context;
    const struct copy *items = matching->copies->items;

    for (size_t i = 0; i < attempt->gather.count; i++) {
        if (!is_good(attempt, i) || attempt->copies[i]->role != COPY_NAMELESS)
            continue;
        for (size_t j = 0; j < matching->copies->count; j++) {
            if (items[j].facts.has_header)
                compare(attempt, i, &items[j].facts.header,
                        match_of(matching, (size_t)(attempt->copies[i] - items), j));
        }
    }
    return 0;
}

static bool is_bound(const struct matching *matching, size_t copy,
                     const struct share_header *version)
{
    bool agrees = false;

    for (size_t j = 0; j < matching->copies->count; j++) {
        const struct copy *other = &matching->copies->items[j];
        const struct agreement *match = match_of(matching, copy, j);
        if (!other->facts.has_header)
            continue;
        if (is_of(other, version)) {
            if (match->contradicts)
                return false;
            agrees |= match->agrees;
        } else if (match->agrees && !match->contradicts) {
            return false;
        }
    }
    return agrees;
}

int binding_run(const struct stripe_reading *reading)
{
    size_t count = reading->copies->count;
    struct matching matching = {reading->copies,
                                calloc(count * count + 1, sizeof(struct agreement))};
    cleanup_free struct agreement *matches = matching.matches;

    int r = matches ? each_stripe(reading, look_at_all, &matching) : -ENOMEM;
    if (r < 0)
        return r;
    HOLD(reading->lock);
    for (size_t i = 0; i < count; i++) {
        struct copy *copy = &reading->copies->items[i];
        copy->bound = copy->role == COPY_NAMELESS && is_bound(&matching, i, reading->version);
    }
    reading->trust->bound = true;
    return 0;
}

/* Different shares of members, and of copies that share a digest with them. */
static unsigned count_shares(const struct stripe_reading *reading)
{
    bool seen[256] = {false};
    unsigned shares = 0;

    for (size_t i = 0; i < reading->copies->count; i++) {
        const struct copy *copy = &reading->copies->items[i];
        bool counts = copy->role == COPY_MEMBER || copy->shares;
        if (!counts || copy->index < 0 || seen[copy->index])
            continue;
        seen[copy->index] = true;
        shares++;
    }
    return shares;
}

/* Returns true if the copy says another time of the same k, B and size, or nothing. */
static bool could_share(const struct copy *copy, const struct share_header *version)
{
    return copy->role == COPY_NAMELESS ||
           (copy->role == COPY_OTHER && version_is_like(&copy->facts.header, version));
}

static int look_for_sharing(void *context, const struct attempt *attempt)
{
    const struct stripe_reading *reading = context;

    for (size_t i = 0; i < attempt->gather.count; i++) {
        struct agreement match = {false, false};
        if (!is_good(attempt, i) || !could_share(attempt->copies[i], reading->version))
            continue;
        compare(attempt, i, reading->version, &match);
        attempt->copies[i]->shares |= match.agrees;
    }
    return count_shares(reading) >= reading->needed;
}

static int look_for_all_sharing(void *context, const struct attempt *attempt)
{
    look_for_sharing(context, attempt);
    return 0;
}

int binding_count(const struct stripe_reading *reading)
{
    int r = binding_completes(reading);

    if (r > 0 && reading->version->layout.source_size > 0)
        r = each_stripe(reading, look_for_all_sharing, (void *)reading);
    return r < 0 ? r : (int)count_shares(reading);
}

int binding_completes(const struct stripe_reading *reading)
{
    if (reading->version->layout.source_size > 0)
        return each_stripe(reading, look_for_sharing, (void *)reading);
    for (size_t i = 0; i < reading->copies->count; i++) {
        struct copy *copy = &reading->copies->items[i];
        copy->shares = copy->facts.has_header && could_share(copy, reading->version);
    }
    return count_shares(reading) >= reading->needed;
}
