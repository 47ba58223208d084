/* SPDX-License-Identifier: MIT */
/*
 * Large buffers that are reused from one request to the next: page faults of fresh memory cost more
 * than all the work that is done in it. Any thread may take and give.
 */
#pragma once

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data; /* aligned to a page; NULL where there is none */
    size_t size;   /* bytes that may be used, at least what was asked for */
};

/* SIZE bytes (> 0) of any content. Returns 0 or -ENOMEM. */
int buffer_take(size_t size, struct buffer *ret);

/* Gives it back and empties it; of an empty buffer nothing. */
void buffer_give(struct buffer *buffer);

#define cleanup_buffer CLEANUP(buffer_give)
#define NO_BUFFER      ((struct buffer){NULL, 0})
