/* SPDX-License-Identifier: MIT */
/* Measures the code and the hash on this machine, in memory alone: no files, no mount. */
#pragma once

#include "seal/keys.h"
#include "share/format.h"

enum speed_kind {
    SPEED_CODE,   /* the arithmetic alone: all shares that are no pieces, in the cache */
    SPEED_HASH,   /* the hash alone, of pieces in the cache */
    SPEED_ENCODE, /* from stripes to the blocks of all shares, with digests and checks */
    SPEED_DECODE, /* from blocks of the last k shares to stripes, all verified */
    SPEED_KINDS,
};

struct speed_settings {
    struct share_layout layout;   /* of a file of one stripe or more */
    unsigned count;               /* n, shares that there are: k..256 */
    unsigned threads;             /* at once, each with memory of its own; 1 or more */
    double seconds;               /* how long to measure, some more for what was begun */
    const struct seal_keys *keys; /* of a sealed format; else NULL */
};

/* Bytes of each piece that SPEED_CODE works on: so many that all shares fit a core's own cache. */
size_t speed_piece_size(const struct speed_settings *settings);

/* Bytes of source in a second, by all threads together. Returns 0 or a negative errno. */
int speed_measure(enum speed_kind kind, const struct speed_settings *settings, double *ret);
