/* SPDX-License-Identifier: MIT */
/*
 * The manifests of sealed shares, as a reader with the key has them: restored, proven, and kept for
 * as long as they are read again. Any thread may ask.
 */
#pragma once

#include "seal/manifest.h"
#include "view/source.h"

struct opened_names;

/* STORES, a source of sealed shares, and KEYS stay the caller's. Returns 0 or -ENOMEM. */
int opened_names_new(struct source *stores, const struct seal_keys *keys,
                     struct opened_names **ret);
void opened_names_free(struct opened_names *names);

/* The path of the share of PATH, which is one of the source; the caller frees it. */
int opened_names_id_path(const struct opened_names *names, const char *path, char **ret);

/*
 * The manifest of the directory PATH, as it was within the last second, or is now: of the newest
 * version that can be restored. Leave it to opened_names_leave. -ENOENT where there is none; -EIO
 * where none can be restored and proven, which is logged.
 */
int opened_names_manifest(struct opened_names *names, const char *path,
                          const struct manifest **ret);
void opened_names_leave(struct opened_names *names, const struct manifest *manifest);

DEFINE_CLEANUP(struct opened_names *, opened_names_free)
#define cleanup_opened_names CLEANUP(cleanup_by_opened_names_free)
