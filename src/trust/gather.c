/* SPDX-License-Identifier: MIT */
#include "trust/gather.h"

#include <errno.h>
#include <string.h>

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
    bool has[256], has_trusted[256];
    unsigned shares;  /* different ones */
    unsigned trusted; /* of copies of the version that agree with all that was given */
    bool counts;      /* one of them is of the version */
};

static struct group group_of(const struct gather *gather, const uint8_t digest[HASH_SIZE])
{
    struct group group = {.counts = false};

    for (size_t i = 0; i < gather->count; i++) {
        const struct gather_copy *copy = &gather->copies[i];
        if (!is_in(copy, digest))
            continue;
        group.counts |= is_anchor(copy);
        group.shares += is_first_of(group.has, copy->index);
        group.trusted +=
            is_anchor(copy) && copy->trusted && is_first_of(group.has_trusted, copy->index);
    }
    return group;
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
struct group_claim {
    size_t place; /* of a good block of the largest */
    struct group first;
    unsigned second;         /* shares of the second one; 0: there is none */
    unsigned others_trusted; /* the most that are trusted in any other */
};

static struct group_claim compare_groups(const struct gather *gather)
{
    struct group_claim ret = {.place = gather->count};

    for (size_t i = 0; i < gather->count; i++) {
        if (gather->copies[i].block != BLOCK_GOOD || is_repeated(gather, i))
            continue;
        const struct group group = group_of(gather, gather->copies[i].digest);
        if (!group.counts)
            continue;
        bool larger = group.shares > ret.first.shares;
        const struct group *other = larger ? &ret.first : &group;
        ret.second = other->shares > ret.second ? other->shares : ret.second;
        ret.others_trusted =
            other->trusted > ret.others_trusted ? other->trusted : ret.others_trusted;
        if (larger) {
            ret.first = group;
            ret.place = i;
        }
    }
    return ret;
}

/* Marks up to ROOM unread copies as asked, but none of the shares that it HAS or asks for. */
static size_t ask_for(struct gather *gather, bool has[256], size_t places[], size_t room)
{
    size_t asked = 0;

    for (size_t i = 0; i < gather->count && asked < room; i++) {
        struct gather_copy *copy = &gather->copies[i];
        if (copy->block != BLOCK_UNREAD || copy->role == COPY_USELESS ||
            (copy->index != GATHER_INDEX_UNKNOWN && !is_first_of(has, copy->index)))
            continue;
        copy->block = BLOCK_ASKED;
        places[asked++] = i;
    }
    return asked;
}

size_t gather_next(struct gather *gather, size_t places[])
{
    struct group first = compare_groups(gather).first;
    unsigned coming = 0;

    if (first.shares >= gather->needed)
        return 0;
    for (size_t i = 0; i < gather->count; i++) {
        const struct gather_copy *copy = &gather->copies[i];
        coming += copy->block == BLOCK_ASKED;
        if (copy->block == BLOCK_ASKED && copy->index != GATHER_INDEX_UNKNOWN)
            first.has[copy->index] = true;
    }
    if (first.shares + coming >= gather->needed)
        return 0;
    size_t asked = ask_for(gather, first.has, places, gather->needed - first.shares - coming);
    if (asked == 0 && coming == 0) /* another copy of a share whose block is of another group */
        asked = ask_for(gather, (bool[256]){false}, places, 1);
    return asked;
}

size_t gather_rest(struct gather *gather, size_t places[], size_t room)
{
    size_t asked = 0, before;

    do { /* second copies of a share, too: the first may be the lie */
        before = asked;
        asked += ask_for(gather, (bool[256]){false}, places + asked, room - asked);
    } while (asked > before);
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
    bool coming = false;

    for (size_t i = 0; i < gather->count; i++)
        coming |= gather->copies[i].block == BLOCK_ASKED || gather->copies[i].block == BLOCK_LATE;
    return coming && compare_groups(gather).first.shares < gather->needed;
}

bool gather_is_contradicted(const struct gather *gather)
{
    return compare_groups(gather).second > 0;
}

int gather_choose(const struct gather *gather, size_t *ret_place)
{
    const struct group_claim standing = compare_groups(gather);

    if (standing.first.shares < gather->needed)
        return -ENODATA;
    if (standing.second == standing.first.shares)
        return -ENOTUNIQ;
    if (standing.others_trusted >= standing.first.trusted)
        return -EBADMSG;
    *ret_place = standing.place;
    return 0;
}

size_t gather_side(const struct gather *gather, size_t place)
{
    const struct gather_copy *copy = &gather->copies[place];
    const struct group group = group_of(gather, copy->digest);
    size_t first = 0;

    if (copy->block != BLOCK_GOOD || !group.counts ||
        group.shares < compare_groups(gather).first.shares)
        return 0;
    while (!is_in(&gather->copies[first], copy->digest))
        first++;
    return first + 1;
}

bool gather_has_unbound(const struct gather *gather)
{
    bool contradicted = gather_is_contradicted(gather);

    for (size_t i = 0; i < gather->count; i++) {
        const struct gather_copy *copy = &gather->copies[i];
        if (copy->block != BLOCK_GOOD || copy->role != COPY_NAMELESS || copy->bound)
            continue;
        const struct group group = group_of(gather, copy->digest);
        if (contradicted || (!group.counts && group.shares >= gather->needed))
            return true;
    }
    return false;
}

size_t gather_list(const struct gather *gather, size_t place, bool twins, size_t places[])
{
    bool taken[256] = {false};
    size_t count = 0;

    for (size_t i = 0; i < gather->count; i++) {
        const struct gather_copy *copy = &gather->copies[i];
        if (is_in(copy, gather->copies[place].digest) && (is_first_of(taken, copy->index) || twins))
            places[count++] = i;
    }
    return count;
}
