/* SPDX-License-Identifier: MIT */
/*
 * The manifests of sealed shares, for a reader with the key: restored, verified and cached. Any
 * thread may ask.
 */
#pragma once

#include "seal/manifest.h"
#include "view/source.h"

struct opened_names;

/* STORES, a source of sealed shares, and KEYS stay the caller's. Returns 0 or -ENOMEM. */
int opened_names_new(struct source *stores, const struct seal_keys *keys,
                     struct opened_names **ret);
void opened_names_free(struct opened_names *names);

/* A directory of the shares, and what its manifest must contain. */
struct opened_where {
    const char *ids;   /* its path in the shares */
    const char *path;  /* its path in the source; NULL: not known */
    const uint8_t *id; /* its id; NULL: it is the root, which may be any directory of the source */
    const char *shown; /* its name in messages */
};

/*
 * Returns the manifest of a directory: the newest version that can be restored, checked within the
 * last FRESH_US microseconds or now. Release it with opened_names_leave. -ENOENT: no store has one,
 * or too few have; -EIO: none can be restored and verified, which is logged.
 */
int opened_names_manifest(struct opened_names *names, const struct opened_where *where,
                          uint64_t fresh_us, const struct manifest **ret);
void opened_names_leave(struct opened_names *names, const struct manifest *manifest);

DEFINE_CLEANUP(struct opened_names *, opened_names_free)
#define cleanup_opened_names CLEANUP(cleanup_by_opened_names_free)
