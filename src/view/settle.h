/* SPDX-License-Identifier: MIT */
/*
 * The way out where the blocks at hand do not give a stripe that can be stood for: a lie is among
 * them, or (in formats without checks) a damaged one. All others are read. Part of
 * stripe_reading.c; results as there.
 */
#pragma once

#include "view/attempt.h"

/*
 * A stripe has a digest: any number of lies is tolerated. Of several contents the one is taken that
 * goes with all that the file gave until now (choice/contest.h).
 */
int settle_checked(struct attempt *attempt);

/* As many wrong blocks are tolerated as leave only one stripe possible: of m half of m - k. */
int settle_unchecked(struct attempt *attempt);
