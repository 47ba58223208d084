/* SPDX-License-Identifier: MIT */
/*
 * The reading of one stripe from the copies of its shares, by rules 5 and 6 of docs/design.md.
 * Readers of files, check and repair all do it here. Part of share_set.c.
 */
#pragma once

#include "restore/attempt.h"

/*
 * Reads block after block until k of them give the stripe. Returns 0; -ENODATA where there are too
 * few good blocks; -ENOTUNIQ where two contents are in conflict, whose sides the copies have then;
 * -EBADMSG where blocks contradict each other otherwise and nothing settles it; -ETIMEDOUT where to
 * find that out takes too long; -ETIME where a store that did not answer in time may have what is
 * missing; -EAGAIN where more copies are to be had before that is tried; or
 * another shortage.
 */
int stripe_reading_run(struct stripe_reading *reading);

/*
 * As stripe_reading_run, on an attempt that the caller starts and clears, so that it can examine
 * the blocks. Returns -ENODATA even where more copies are to be had.
 */
int stripe_reading_try(struct attempt *attempt);
