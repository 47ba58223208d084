/* SPDX-License-Identifier: MIT */
/*
 * What a sample of a store's headers shows: which share the store holds, and of which k (rule 1 of
 * docs/design.md). Part of stores.c.
 */
#pragma once

#include "share/format.h"
#include "store/store.h"
#include "trust/quorum.h"

/* Called for each answer: a store that keeps answering does not hang. */
struct voice_watch {
    void (*answered)(void *context);
    void *context;
};

/*
 * Looks at the store's regular files, breadth first and sorted by name, until 64 intact headers are
 * found or 4096 names were looked at. Returns 0, or a negative errno where the root cannot be
 * listed or the store does not answer in time, or for a shortage of our own.
 */
int voice_take(struct store *store, enum share_format format, const struct voice_watch *watch,
               struct store_voice *ret);

/* Returns true if STORE holds sealed shares, by its sample: manifests have the metadata of their
 * files. What the storage says does not count, but for the times of files, by which tools know
 * them. */
bool voice_is_sealed(const struct store *store);
