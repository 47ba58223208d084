/* SPDX-License-Identifier: MIT */
/*
 * The last stripes of an open file, so that a reader of small pieces does not have the same one
 * made over and over. What a view keeps of a stripe (a block, the stripe itself) is the view's
 * choice. Readers of different stripes are served in parallel, those of one stripe wait for one
 * maker. Memory is bounded: a few entries, made only when they are needed, and given up by files
 * that were not read lately where all files together have many.
 */
#pragma once

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

struct stripe_cache;

/* Fills DATA (of the cache's entry size) with what the view keeps of stripe STRIPE of FILE. */
typedef int stripe_maker(void *file, uint64_t stripe, uint8_t *data);

int stripe_cache_new(size_t entry_size, stripe_maker *make, void *file, struct stripe_cache **ret);

void stripe_cache_free(struct stripe_cache *cache);

/* Keeps so many more stripes than it would; to be called before it is used. */
void stripe_cache_keep(struct stripe_cache *cache, unsigned more);

/*
 * Copies SIZE bytes (0: it is made, if it is not there), from FROM on, of stripe STRIPE's entry.
 * All of one that is not there is made at DATA, and not kept. Returns the maker's error if any.
 */
int stripe_cache_read(struct stripe_cache *cache, uint64_t stripe, size_t from, size_t size,
                      uint8_t *data);

DEFINE_CLEANUP(struct stripe_cache *, stripe_cache_free)
#define cleanup_stripe_cache CLEANUP(cleanup_by_stripe_cache_free)
