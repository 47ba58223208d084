/* SPDX-License-Identifier: MIT */
#include "trust/gather.h"

#include <errno.h>
#include <string.h>

/* Which of the 256 shares are in a group. */
struct index_set {
    bool has[256];
    unsigned count;
};

static void add_index(struct index_set *set, int index)
{
    if (index == GATHER_INDEX_UNKNOWN || set->has[index])
        return;
    set->has[index] = true;
    set->count++;
}

/* Returns true if a copy is of the version. */
static bool is_anchor(const struct gather_copy *copy)
{
    return copy->role == COPY_MEMBER || (copy->role == COPY_NAMELESS && copy->bound);
}

static bool is_in(const struct gather_copy *copy, const uint8_t digest[HASH_SIZE])
{
    return copy->block == BLOCK_GOOD && memcmp(copy->digest, digest, HASH_SIZE) == 0;
}

/* The copies whose good blocks have one digest. */
struct group {
    struct index_set shares;
    struct index_set trusted; /* of the version, and in agreement with all that was given */
    bool counts;              /* one of them is of the version */
};

static void collect_group(const struct gather *gather, const uint8_t digest[HASH_SIZE],
                          struct group *ret)
{
    *ret = (struct group){.counts = false};
    for (size_t i = 0; i < gather->count; i++) {
        const struct gather_copy *copy = &gather->copies[i];
        if (!is_in(copy, digest))
            continue;
        add_index(&ret->shares, copy->index);
        ret->counts = ret->counts || is_anchor(copy);
        if (is_anchor(copy) && copy->trusted)
            add_index(&ret->trusted, copy->index);
    }
}

/* Returns true if an earlier good block has the digest of the one at PLACE. */
static bool is_repeated(const struct gather *gather, size_t place)
{
    for (size_t i = 0; i < place; i++) {
        if (is_in(&gather->copies[i], gather->copies[place].digest))
            return true;
    }
    return false;
}

/* The largest group that counts, and what the others have. */
struct standing {
    size_t place; /* of a good block of the largest */
    struct group first;
    unsigned second;         /* shares of the second one; 0: there is none */
    unsigned others_trusted; /* the most that are trusted in any other */
};

static unsigned max(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

static void compare_groups(const struct gather *gather, struct standing *ret)
{
    struct group group;

    *ret = (struct standing){.place = gather->count};
    for (size_t i = 0; i < gather->count; i++) {
        if (gather->copies[i].block != BLOCK_GOOD || is_repeated(gather, i))
            continue;
        collect_group(gather, gather->copies[i].digest, &group);
        if (!group.counts)
            continue;
        bool larger = group.shares.count > ret->first.shares.count;
        const struct group *other = larger ? &ret->first : &group;
        ret->second = max(ret->second, other->shares.count);
        ret->others_trusted = max(ret->others_trusted, other->trusted.count);
        if (larger) {
            ret->first = group;
            ret->place = i;
        }
    }
}

/* Marks up to ROOM unread copies as asked, leaving out those whose share is in HAVE. */
static size_t ask_for(struct gather *gather, struct index_set *have, size_t places[], size_t room)
{
    size_t asked = 0;

    for (size_t i = 0; i < gather->count && asked < room; i++) {
        struct gather_copy *copy = &gather->copies[i];
        if (copy->block != BLOCK_UNREAD || copy->role == COPY_USELESS ||
            (copy->index != GATHER_INDEX_UNKNOWN && have->has[copy->index]))
            continue;
        add_index(have, copy->index);
        copy->block = BLOCK_ASKED;
        places[asked++] = i;
    }
    return asked;
}

size_t gather_next(struct gather *gather, size_t places[])
{
    struct standing standing;
    unsigned coming = 0;

    compare_groups(gather, &standing);
    unsigned found = standing.first.shares.count, needed = gather->needed;
    struct index_set *have = &standing.first.shares;
    if (found >= needed)
        return 0;
    for (size_t i = 0; i < gather->count; i++) {
        if (gather->copies[i].block == BLOCK_ASKED) {
            add_index(have, gather->copies[i].index);
            coming++;
        }
    }
    if (coming >= needed - found)
        return 0;
    size_t asked = ask_for(gather, have, places, needed - found - coming);
    if (asked == 0 && coming == 0) /* another copy of a share whose block is of another group */
        asked = ask_for(gather, &(struct index_set){.count = 0}, places, 1);
    return asked;
}

size_t gather_rest(struct gather *gather, size_t places[], size_t room)
{
    struct index_set none = {.count = 0};
    size_t asked = 0, more;

    /* Second copies of a share are asked, too: the first may be the lie. */
    while (asked < room && (more = ask_for(gather, &none, places + asked, room - asked)) > 0) {
        asked += more;
        none = (struct index_set){.count = 0};
    }
    return asked;
}

void gather_good(struct gather *gather, size_t place, uint8_t index,
                 const uint8_t digest[HASH_SIZE])
{
    struct gather_copy *copy = &gather->copies[place];

    copy->block = BLOCK_GOOD;
    copy->index = index;
    memcpy(copy->digest, digest, HASH_SIZE);
}

void gather_late(struct gather *gather, size_t place)
{
    gather->copies[place].block = BLOCK_LATE;
}

void gather_bad(struct gather *gather, size_t place)
{
    gather->copies[place].block = BLOCK_BAD;
}

bool gather_waits(const struct gather *gather)
{
    struct standing standing;
    size_t coming = 0;

    for (size_t i = 0; i < gather->count; i++)
        coming += gather->copies[i].block == BLOCK_ASKED || gather->copies[i].block == BLOCK_LATE;
    if (coming == 0)
        return false;
    compare_groups(gather, &standing);
    return standing.first.shares.count < gather->needed;
}

bool gather_is_contradicted(const struct gather *gather)
{
    struct standing standing;

    compare_groups(gather, &standing);
    return standing.second > 0;
}

int gather_choose(const struct gather *gather, size_t *ret_place)
{
    struct standing standing;

    compare_groups(gather, &standing);
    if (standing.first.shares.count < gather->needed)
        return -ENODATA;
    if (standing.second == standing.first.shares.count)
        return -ENOTUNIQ;
    if (standing.others_trusted >= standing.first.trusted.count)
        return -EBADMSG;
    *ret_place = standing.place;
    return 0;
}

size_t gather_side(const struct gather *gather, size_t place)
{
    struct standing standing;
    struct group group;
    size_t first = 0;

    if (gather->copies[place].block != BLOCK_GOOD)
        return 0;
    compare_groups(gather, &standing);
    collect_group(gather, gather->copies[place].digest, &group);
    if (!group.counts || group.shares.count < standing.first.shares.count)
        return 0;
    while (!is_in(&gather->copies[first], gather->copies[place].digest))
        first++;
    return first + 1;
}

bool gather_has_unbound(const struct gather *gather)
{
    bool contradicted = gather_is_contradicted(gather);
    struct group group;

    for (size_t i = 0; i < gather->count; i++) {
        const struct gather_copy *copy = &gather->copies[i];
        if (copy->block != BLOCK_GOOD || copy->role != COPY_NAMELESS || copy->bound)
            continue;
        collect_group(gather, copy->digest, &group);
        if (contradicted || (!group.counts && group.shares.count >= gather->needed))
            return true;
    }
    return false;
}

size_t gather_list(const struct gather *gather, size_t place, bool twins, size_t places[])
{
    struct index_set taken = {.count = 0};
    size_t count = 0;

    for (size_t i = 0; i < gather->count; i++) {
        const struct gather_copy *copy = &gather->copies[i];
        if (is_in(copy, gather->copies[place].digest) && (twins || !taken.has[copy->index])) {
            add_index(&taken, copy->index);
            places[count++] = i;
        }
    }
    return count;
}
