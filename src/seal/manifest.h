/* SPDX-License-Identifier: MIT */
/*
 * A directory's manifest: its names and all that is known of them, as stored in the file
 * `zmanifest` of a sealed share (docs/format.md, "Manifests"). Pure bytes, no I/O. CBOR in core
 * deterministic encoding (RFC 8949, 4.2.1), padded with zeros to a multiple of 1 KiB.
 */
#pragma once

#include "base/cleanup.h"
#include "base/xattrs.h"
#include "seal/keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define MANIFEST_NAME "zmanifest"

/* What is known of an object. The type in MODE decides which fields there are. */
struct manifest_attributes {
    mode_t mode; /* type and permissions; of a directory's entry only the type */
    uid_t uid;
    gid_t gid;
    char *user, *group;         /* NULL: not known; UTF-8 */
    int64_t mtime_ns;           /* since 1970 */
    uint64_t size;              /* of a regular file, at most INT64_MAX */
    uint8_t id[PATH_ID_SIZE];   /* of a regular file, and of a directory's entry */
    char *target;               /* of a symlink, never empty */
    uint32_t major, minor;      /* of a device */
    bool has_link;              /* it is a regular file with more than one name */
    uint8_t link[LINK_ID_SIZE]; /* if has_link */
    struct xattrs xattrs;
};

struct manifest_entry {
    char *name;
    struct manifest_attributes attributes;
};

struct manifest_id {
    uint8_t id[PATH_ID_SIZE];
    size_t place; /* among the entries */
};

/* Owns all that it points to. */
struct manifest {
    char *path; /* of the directory, in the source; "" is the root */
    struct manifest_attributes self;
    struct manifest_entry *entries; /* sorted by the bytes of their names */
    size_t count;
    struct manifest_id *ids; /* of the entries that have one, sorted; only after reading */
    size_t id_count;
};

#define NO_MANIFEST ((struct manifest){.path = NULL})

void manifest_clear(struct manifest *manifest);

/* Removes the last entry. */
void manifest_drop_last(struct manifest *manifest);

/* Makes the bytes of MANIFEST, with padding; the caller frees them. Returns 0 or -ENOMEM. */
int manifest_write(const struct manifest *manifest, uint8_t **ret, size_t *ret_size);

/*
 * Reads exactly what manifest_write writes. -EBADMSG for any other bytes: also if ids do not follow
 * from KEYS, path and name; names are empty, ".", "..", contain a slash or a NUL, or do not ascend;
 * types are wrong; keys are unknown or missing; padding differs. -ENOMEM. Clear RET in any case.
 */
int manifest_read(const struct seal_keys *keys, const uint8_t *bytes, size_t size,
                  struct manifest *ret);

/* Returns the entry of that name, or NULL. */
const struct manifest_entry *manifest_find(const struct manifest *manifest, const char *name);

/* Returns the entry of that id, or NULL. Only for manifests that were read. */
const struct manifest_entry *manifest_find_id(const struct manifest *manifest,
                                              const uint8_t id[PATH_ID_SIZE]);

#define cleanup_manifest CLEANUP(manifest_clear)
