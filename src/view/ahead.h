/* SPDX-License-Identifier: MIT */
/*
 * Has stripes of an open file made before they are asked for: those of one request all at once, and
 * for a reader who goes through the file more and more of those that come next. For files that are
 * far away, where each stripe costs the time of the way. Memory and threads are bounded.
 */
#pragma once

#include "view/stripe_cache.h"

struct ahead;

/* For CACHE, whose entries have ENTRY_SIZE bytes, of a file of so many STRIPES. */
int ahead_new(struct stripe_cache *cache, size_t entry_size, uint64_t stripes, struct ahead **ret);

/* Waits for the stripes that are being made. To be called before the cache is freed. */
void ahead_free(struct ahead *ahead);

/* The stripes FIRST to LAST are about to be read. Any thread may call it. */
void ahead_note(struct ahead *ahead, uint64_t first, uint64_t last);
