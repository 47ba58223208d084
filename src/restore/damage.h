/* SPDX-License-Identifier: MIT */
/* What was found bad in one copy of a share: stripes whose blocks need not be read again. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct damage {
    struct damage_range {
        uint64_t first, last;
    } * ranges; /* sorted, with gaps between them */
    size_t count, room;
};

bool damage_has(const struct damage *damage, uint64_t stripe);

/* Notes a bad stripe. Without memory it is not noted, and its block will be read again. */
void damage_add(struct damage *damage, uint64_t stripe);

/* Notes all stripes from FIRST to LAST. None behind FIRST may have been noted before. */
void damage_add_end(struct damage *damage, uint64_t first, uint64_t last);

/* How many stripes are bad. */
uint64_t damage_size(const struct damage *damage);

void damage_clear(struct damage *damage);
