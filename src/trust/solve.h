/* SPDX-License-Identifier: MIT */
/*
 * Rule 6 of docs/design.md: a stripe of a format without checks, from blocks some of which may be
 * wrong. At each byte of the blocks, the stripe is the one codeword that at most half of the m - k
 * further values contradict; equal values of one share count once in m. Two such codewords would
 * agree in k values, and so be one (Singleton, 1964): the first that is found is the only one. What
 * fills up the last stripe is zeros. Pure decisions, no I/O.
 */
#pragma once

#include "share/format.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * Solves stripe number STRIPE from COUNT (k or more) blocks of the shares INDICES, one of which may
 * be there several times, to DATA, which has room for k*u bytes. WITHDRAWN further copies were
 * there when the file was opened, and count as if they contradicted: else copies that were outvoted
 * then could be enough now. Sets WRONG for each block that differs from the result, and *RET_SPARE
 * to how many more right values each byte with wrong ones could lose and stay solvable (INT_MAX:
 * there is none). -EBADMSG where some byte has no solution, or none that is found; -ETIMEDOUT and
 * -ECANCELED as trials_next; -ENODATA for fewer than k different shares; -ENOMEM.
 */
int solve_stripe(const struct share_layout *layout, uint64_t stripe, const uint8_t indices[],
                 const uint8_t *const blocks[], size_t count, unsigned withdrawn,
                 const atomic_bool *stop, uint8_t *data, bool wrong[], int *ret_spare);

/* How many different shares have to agree so that COUNT copies can have no other solution. */
size_t solve_enough(unsigned required, size_t count);

/* Sets of K of COUNT numbers that are tried: all in order or, where these are too many, any. */
struct trials {
    size_t chosen[256]; /* the set to be tried */
    size_t k, count;
    unsigned done, seed;
    bool all;
    uint64_t end;
    const atomic_bool *stop;
};

void trials_begin(struct trials *ret, size_t k, size_t count, uint64_t seed,
                  const atomic_bool *stop);

/* Returns 0 for one more set; -EBADMSG where all, or 4096, were tried; -ETIMEDOUT after a second of
 * this thread's processor time; -ECANCELED once STOP, if not NULL, is set. */
int trials_next(struct trials *trials);

/* The next set of K of COUNT numbers in order; false behind the last one. */
bool next_combination(size_t chosen[], size_t k, size_t count);

/* Any set of K of COUNT numbers, in order, each as likely as the others. */
void random_combination(size_t chosen[], size_t k, size_t count, unsigned *seed);

/* How many sets of K of COUNT there are; any number above LIMIT where there are more than it. */
uint64_t count_combinations(size_t k, size_t count, uint64_t limit);
