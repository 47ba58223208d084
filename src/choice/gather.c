/* SPDX-License-Identifier: MIT */
#include "choice/gather.h"

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

/* Whether a copy may speak for the version. */
static bool is_anchor(const struct gather_copy *copy)
{
    return copy->role == COPY_MEMBER || copy->role == COPY_NAMELESS;
}

static bool is_in(const struct gather_copy *copy, const uint8_t digest[HASH_SIZE])
{
    return copy->block == BLOCK_GOOD && memcmp(copy->digest, digest, HASH_SIZE) == 0;
}

/* The shares whose good blocks have this digest; none where no anchor is among them. */
static struct index_set group_of(const struct gather *gather, const uint8_t digest[HASH_SIZE])
{
    struct index_set group = {.count = 0};
    bool anchored = false;

    for (size_t i = 0; i < gather->count; i++) {
        const struct gather_copy *copy = &gather->copies[i];
        if (!is_in(copy, digest))
            continue;
        add_index(&group, copy->index);
        anchored = anchored || is_anchor(copy);
    }
    return anchored ? group : (struct index_set){.count = 0};
}

/* Whether an earlier good block has the digest of the one at PLACE. */
static bool is_repeated(const struct gather *gather, size_t place)
{
    for (size_t i = 0; i < place; i++) {
        if (is_in(&gather->copies[i], gather->copies[place].digest))
            return true;
    }
    return false;
}

/* The largest group so far, a good block of it in *RET_PLACE; the first of equal ones. */
static struct index_set largest_group(const struct gather *gather, size_t *ret_place)
{
    struct index_set largest = {.count = 0};

    for (size_t i = 0; i < gather->count; i++) {
        if (gather->copies[i].block != BLOCK_GOOD || is_repeated(gather, i))
            continue;
        struct index_set group = group_of(gather, gather->copies[i].digest);
        if (group.count > largest.count) {
            largest = group;
            *ret_place = i;
        }
    }
    return largest;
}

/* Marks up to ROOM unread copies as asked, leaving out those whose share is in HAVE. */
static size_t ask(struct gather *gather, struct index_set *have, size_t places[], size_t room)
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

unsigned gather_count_trusted(const struct gather *gather, const uint8_t digest[HASH_SIZE])
{
    struct index_set shares = {.count = 0};

    for (size_t i = 0; i < gather->count; i++) {
        const struct gather_copy *copy = &gather->copies[i];
        if (copy->trusted && is_anchor(copy) && is_in(copy, digest))
            add_index(&shares, copy->index);
    }
    return shares.count;
}

/*
 * Whether the group of the block at PLACE is enough. One trusted copy in it shows that it is of one
 * content with all that the file gave. Without one others, still unread, may contradict it.
 */
static bool is_enough(const struct gather *gather, const struct index_set *group, size_t place)
{
    return group->count >= gather->required &&
           (!gather->begun || gather_count_trusted(gather, gather->copies[place].digest) > 0);
}

size_t gather_next(struct gather *gather, size_t places[])
{
    size_t place = 0;
    struct index_set have = largest_group(gather, &place);
    unsigned required = gather->required, coming = 0, found = have.count;

    if (is_enough(gather, &have, place))
        return 0;
    for (size_t i = 0; i < gather->count; i++) {
        if (gather->copies[i].block == BLOCK_ASKED) {
            add_index(&have, gather->copies[i].index);
            coming++;
        }
    }
    if (found >= required)
        return coming > 0 ? 0 : gather_rest(gather, places, required);
    if (coming >= required - found)
        return 0;
    size_t asked = ask(gather, &have, places, required - found - coming);
    if (asked == 0 && coming == 0) /* another copy of a share whose block is of another group */
        asked = ask(gather, &(struct index_set){.count = 0}, places, 1);
    return asked;
}

size_t gather_rest(struct gather *gather, size_t places[], size_t room)
{
    struct index_set none = {.count = 0};
    size_t asked = 0, more;

    /* Second copies of a share are asked, too: the first may be the lie. */
    while (asked < room && (more = ask(gather, &none, places + asked, room - asked)) > 0) {
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

bool gather_waits(const struct gather *gather)
{
    size_t place = 0, coming = 0;
    struct index_set have = largest_group(gather, &place);

    for (size_t i = 0; i < gather->count; i++)
        coming += gather->copies[i].block == BLOCK_ASKED || gather->copies[i].block == BLOCK_LATE;
    return coming > 0 && !is_enough(gather, &have, place);
}

void gather_bad(struct gather *gather, size_t place)
{
    gather->copies[place].block = BLOCK_BAD;
}

unsigned gather_count(const struct gather *gather, const uint8_t digest[HASH_SIZE])
{
    return group_of(gather, digest).count;
}

bool gather_agrees(const struct gather *gather)
{
    const uint8_t *digest = NULL;

    for (size_t i = 0; i < gather->count; i++) {
        const struct gather_copy *copy = &gather->copies[i];
        if (copy->block != BLOCK_GOOD || !is_anchor(copy))
            continue;
        if (digest && !is_in(copy, digest))
            return false;
        digest = copy->digest;
    }
    return true;
}

int gather_find(const struct gather *gather, size_t *ret_place)
{
    size_t place = 0;

    if (largest_group(gather, &place).count < gather->required)
        return -ENODATA;
    *ret_place = place;
    return 0;
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
