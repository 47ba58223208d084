/* SPDX-License-Identifier: MIT */
/*
 * The code's one operation: from any k shares of a group of pieces, any other shares.
 *
 * The k pieces are, byte by byte, the values of a polynomial of degree < k over GF(2^8)
 * (polynomial 0x11D) at x_0..x_(k-1); share i is its value at x_i, with x_0 = 0 and
 * x_i = 2^(i-1) (Rizzo's code as zfec has it; the interpolation formula is Lagrange's). Shares
 * 0..k-1 are the pieces. Encoding, restoring and rebuilding differ in what is known and wanted.
 */
#pragma once

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

enum {
    CODE_SHARES_MAX = 256,   /* share indices are 0..255 */
    CODE_REQUIRED_MAX = 255, /* k is 1..255 */
};

/* How to get some shares from k known ones. Read-only once made: any thread may run it. */
struct interpolation;

/* From the k = REQUIRED shares KNOWN, to the COUNT shares WANTED, any. Returns 0, -EINVAL (REQUIRED
 * or COUNT is 0 or too large, an index is known twice) or -ENOMEM. */
int interpolation_new(unsigned required, const uint8_t known[], unsigned count,
                      const uint8_t wanted[], struct interpolation **ret);

void interpolation_free(struct interpolation *interpolation);

/* KNOWN and WANTED point to LENGTH bytes (at most INT_MAX) for each share, in the order of
 * interpolation_new. No wanted range may overlap another range. */
void interpolation_run(const struct interpolation *interpolation, size_t length,
                       const uint8_t *const known[], uint8_t *const wanted[]);

DEFINE_CLEANUP(struct interpolation *, interpolation_free)
#define cleanup_interpolation CLEANUP(cleanup_by_interpolation_free)
