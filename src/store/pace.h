/* SPDX-License-Identifier: MIT */
/*
 * How long a store takes to answer, and what is much longer than that. Times are in microseconds.
 * Pure arithmetic, no I/O.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    PACE_ANSWERS = 15, /* that count: the last ones */
    PACE_STORES = 256, /* whose paces are compared at most */
};

struct pace {
    uint64_t answers[PACE_ANSWERS];
    unsigned count; /* of all answers */
};

void pace_add(struct pace *pace, uint64_t time);

/* The median of the last answers; 0 where there is none. */
uint64_t pace_usual(const struct pace *pace);

/*
 * From when on an answer of one of COUNT stores is late, by how long each of them usually takes
 * (TIMES, which are put into another order): well above what the middle one of them needs.
 */
uint64_t pace_patience(uint64_t times[], size_t count);
