/* SPDX-License-Identifier: MIT */
#include "restore/binding.h"

#include "base/lock.h"

#include <string.h>

enum { STRIPES_MAX = 4096 };

/* How the blocks of a copy compare with those of a version's members. */
struct agreement {
    bool agrees, contradicts;
};

/* How many stripes are looked at: evenly spaced ones, where there are more. */
static uint64_t count_looks(const struct share_set *set)
{
    uint64_t stripes = layout_stripes(&set->version.header.layout);

    return stripes < STRIPES_MAX ? stripes : STRIPES_MAX;
}

/* Reads all blocks of the stripe that is looked at as number I. */
static int look_at(struct share_set *set, uint64_t i, unsigned mode, struct attempt *ret)
{
    uint64_t step = layout_stripes(&set->version.header.layout) / count_looks(set);

    if (set->terms.stop && atomic_load(set->terms.stop))
        return -ECANCELED;
    int r = attempt_start(ret, set, i * step, NULL, mode);
    if (r == 0)
        r = attempt_read_rest(ret);
    if (ret->missed) { /* that a copy was found to belong to no version says nothing then */
        HOLD(&set->lock);
        set->trust.missed = true;
    }
    return r;
}

static bool is_of(const struct copy *copy, const struct share_header *version)
{
    return copy->facts->has_header && version_is_same(&copy->facts->header, version);
}

/* Compares the good block at PLACE with those of VERSION's members. */
static void compare(const struct attempt *attempt, size_t place, const struct share_header *version,
                    struct agreement *ret)
{
    const struct gather_copy *copies = attempt->gather.copies;
    bool any = false, same = false;

    for (size_t i = 0; i < attempt->gather.count; i++) {
        if (!is_of(attempt->copies[i], version) || copies[i].block != BLOCK_GOOD)
            continue;
        any = true;
        same |= memcmp(copies[place].digest, copies[i].digest, HASH_SIZE) == 0;
    }
    ret->agrees |= same;
    ret->contradicts |= any && !same;
}

/* Returns true if a copy without a header is bound to the set's version. MATCHES: how its blocks
 * compare with the version of each copy. */
static bool is_bound(const struct share_set *set, const struct agreement matches[])
{
    bool agrees = false;

    for (size_t i = 0; i < set->count; i++) {
        const struct copy *other = &set->copies[i];
        if (!other->facts->has_header)
            continue;
        if (is_of(other, &set->version.header)) {
            if (matches[i].contradicts)
                return false;
            agrees |= matches[i].agrees;
        } else if (matches[i].agrees && !matches[i].contradicts) {
            return false;
        }
    }
    return agrees;
}

int binding_run(struct share_set *set)
{
    struct copy *items = set->copies;
    size_t count = set->count;
    cleanup_free struct agreement *matches = calloc(count * count + 1, sizeof *matches);

    if (!matches)
        return -ENOMEM;
    for (uint64_t look = 0; look < count_looks(set); look++) {
        cleanup_attempt struct attempt attempt = {0};
        int r = look_at(set, look, 0, &attempt);
        if (r < 0)
            return r;
        for (size_t i = 0; i < attempt.gather.count; i++) {
            size_t own = (size_t)(attempt.copies[i] - items);
            if (attempt.gather.copies[i].block != BLOCK_GOOD || own >= count ||
                items[own].role != COPY_NAMELESS)
                continue;
            for (size_t j = 0; j < count; j++) {
                if (items[j].facts->has_header)
                    compare(&attempt, i, &items[j].facts->header, &matches[own * count + j]);
            }
        }
    }
    HOLD(&set->lock);
    for (size_t i = 0; i < count; i++)
        items[i].bound = items[i].role == COPY_NAMELESS && is_bound(set, &matches[i * count]);
    set->trust.bound = true;
    return 0;
}

/* Different shares of members, and of copies that share a digest with them. */
static unsigned count_shares(const struct share_set *set)
{
    bool seen[256] = {false};
    unsigned shares = 0;

    for (size_t i = 0; i < set->count; i++) {
        const struct copy *copy = &set->copies[i];
        bool counts = copy->role == COPY_MEMBER || copy->shares;
        if (!counts || copy->index < 0 || seen[copy->index])
            continue;
        seen[copy->index] = true;
        shares++;
    }
    return shares;
}

/* Returns true if the copy's header is lost, or differs from VERSION in the time alone. */
static bool could_share(const struct copy *copy, const struct share_header *version)
{
    return copy->role == COPY_NAMELESS ||
           (copy->role == COPY_OTHER && version_is_like(&copy->facts->header, version));
}

int binding_count(struct share_set *set, unsigned mode, bool all)
{
    const struct share_header *version = &set->version.header;

    for (uint64_t look = 0; look < count_looks(set); look++) {
        cleanup_attempt struct attempt attempt = {0};
        int r = look_at(set, look, mode, &attempt);
        if (r < 0)
            return r;
        for (size_t i = 0; i < attempt.gather.count; i++) {
            struct copy *copy = attempt.copies[i];
            struct agreement match = {false, false};
            if (attempt.gather.copies[i].block != BLOCK_GOOD || !could_share(copy, version))
                continue;
            compare(&attempt, i, version, &match);
            copy->shares |= match.agrees;
        }
        if (!all && count_shares(set) >= set->version.needed)
            break;
    }
    /* An empty file has no digests. */
    for (size_t i = 0; version->layout.source_size == 0 && i < set->count; i++) {
        struct copy *copy = &set->copies[i];
        copy->shares = copy->facts->has_header && could_share(copy, version);
    }
    return (int)count_shares(set);
}
