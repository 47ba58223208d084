/* SPDX-License-Identifier: MIT */
/* The key, beside a source of sealed shares that stay as they are: for check and repair. */
#pragma once

#include "restore/unsealer.h"
#include "seal/keys.h"
#include "view/source.h"

struct unsealing;

/* STORES (store_source.h) stays the caller's, and lives longer; KEYS is taken over, also where it
 * fails. Returns 0 or -ENOMEM. */
int unsealing_new(struct source *stores, struct seal_keys *keys, struct unsealing **ret);
void unsealing_free(struct unsealing *unsealing);

/* What the source's terms take. */
struct unsealer *unsealing_unsealer(struct unsealing *unsealing);

/*
 * Calls TELL with each name that the manifest of the directory PATH, in a share, has and no store,
 * and of its own manifest where no store has that: NAME is its path in the source. Returns 0 or a
 * negative errno; nothing is told where the manifest cannot be had.
 */
int unsealing_find_missing(struct unsealing *unsealing, const char *path,
                           void (*tell)(void *context, const char *name, mode_t kind),
                           void *context);

/* The same where there is no key: tells of the directory's manifest alone, by its path in a share.
 */
int unsealing_find_manifest(struct source *stores, const char *path,
                            void (*tell)(void *context, const char *name, mode_t kind),
                            void *context);

/* What the terms of sealed shares take where there is no key: it is known that each directory has a
 * manifest. */
struct unsealer *unsealer_without_key(void);

DEFINE_CLEANUP(struct unsealing *, unsealing_free)
#define cleanup_unsealing CLEANUP(cleanup_by_unsealing_free)
