/* SPDX-License-Identifier: MIT */
#include "restore/damage.h"

#include <stdlib.h>
#include <string.h>

/* Returns the place of the first range that ends at STRIPE or behind it. */
static size_t place_of(const struct damage *damage, uint64_t stripe)
{
    size_t low = 0, high = damage->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (damage->ranges[middle].last < stripe)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool damage_has(const struct damage *damage, uint64_t stripe)
{
    size_t place = place_of(damage, stripe);

    return place < damage->count && damage->ranges[place].first <= stripe;
}

void damage_add(struct damage *damage, uint64_t stripe)
{
    size_t place = place_of(damage, stripe), count = damage->count;
    struct damage_range *ranges = damage->ranges;

    if (damage_has(damage, stripe))
        return;
    bool joins_left = place > 0 && ranges[place - 1].last + 1 == stripe;
    bool joins_right = place < count && stripe + 1 == ranges[place].first;
    if (joins_left && joins_right) {
        ranges[place - 1].last = ranges[place].last;
        damage->count--;
        memmove(&ranges[place], &ranges[place + 1], (count - 1 - place) * sizeof *ranges);
    } else if (joins_left) {
        ranges[place - 1].last = stripe;
    } else if (joins_right) {
        ranges[place].first = stripe;
    } else {
        if (count == damage->room) {
            size_t room = count > 0 ? 2 * count : 4;
            ranges = reallocarray(ranges, room, sizeof *ranges);
            if (!ranges)
                return;
            damage->ranges = ranges;
            damage->room = room;
        }
        damage->count++;
        memmove(&ranges[place + 1], &ranges[place], (count - place) * sizeof *ranges);
        ranges[place] = (struct damage_range){stripe, stripe};
    }
}

void damage_add_end(struct damage *damage, uint64_t first, uint64_t last)
{
    damage_add(damage, first);
    if (damage_has(damage, first))
        damage->ranges[damage->count - 1].last = last;
}

uint64_t damage_size(const struct damage *damage)
{
    uint64_t size = 0;

    for (size_t i = 0; i < damage->count; i++)
        size += damage->ranges[i].last - damage->ranges[i].first + 1;
    return size;
}

void damage_clear(struct damage *damage)
{
    free(damage->ranges);
    *damage = (struct damage){0};
}
