/* SPDX-License-Identifier: MIT */
/* Gives check and repair the use of the key, while their source stays the sealed shares. */
#pragma once

#include "restore/unsealer.h"
#include "seal/keys.h"
#include "view/source.h"

struct unsealing;

/* STORES (store_source.h) stays the caller's, and must live longer. Takes KEYS over, also if it
 * fails. Returns 0 or -ENOMEM. */
int unsealing_new(struct source *stores, struct seal_keys *keys, struct unsealing **ret);
void unsealing_free(struct unsealing *unsealing);

/* Returns it as the source's terms want it. */
struct unsealer *unsealing_unsealer(struct unsealing *unsealing);

/*
 * Calls TELL for each name in the manifest of the directory PATH, in a share, that no store has,
 * and for the manifest itself if no store has it: NAME is the path in the source. Returns 0 or a
 * negative errno. If the manifest cannot be read, TELL is not called.
 */
int unsealing_find_missing(struct unsealing *unsealing, const char *path,
                           void (*tell)(void *context, const char *name, mode_t kind),
                           void *context);

/* Like unsealing_find_missing without a key: TELL gets only the directory's manifest, by its path
 * in a share. */
int unsealing_find_manifest(struct source *stores, const char *path,
                            void (*tell)(void *context, const char *name, mode_t kind),
                            void *context);

/* Returns what the terms of sealed shares want if there is no key: all that is known then is that
 * each directory has a manifest. */
struct unsealer *unsealer_without_key(void);

DEFINE_CLEANUP(struct unsealing *, unsealing_free)
#define cleanup_unsealing CLEANUP(cleanup_by_unsealing_free)
