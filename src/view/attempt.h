/* SPDX-License-Identifier: MIT */
/*
 * One stripe being read: its blocks as far as they were read, and what is known of the others.
 * Part of stripe_reading.c.
 */
#pragma once

#include "choice/gather.h"
#include "view/stripe_reading.h"

struct attempt {
    const struct stripe_reading *reading;
    struct gather gather;
    struct copy **copies;  /* in reading order: gather's places are places here */
    struct buffer *blocks; /* of each copy; a good one where gather says so */
};

/* Starts with what is known of the copies from other stripes. Clear RET in any case. */
int attempt_start(struct attempt *ret, const struct stripe_reading *reading);

void attempt_clear(struct attempt *attempt);

/* Reads what gather asks for, until it asks for nothing more. Returns 0 or -ENOMEM. */
int attempt_read_wanted(struct attempt *attempt);

/* Reads all blocks that are left. Returns 0 or -ENOMEM. */
int attempt_read_rest(struct attempt *attempt);

#define cleanup_attempt CLEANUP(attempt_clear)
