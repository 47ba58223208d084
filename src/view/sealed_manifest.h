/* SPDX-License-Identifier: MIT */
/* The manifests of a source's directories, as sealed shares have them. */
#pragma once

#include "seal/manifest.h"
#include "view/sealed_names.h"

/* What a file `zmanifest` is made of. */
struct made_manifest {
    uint8_t *content; /* the caller frees it; never empty */
    size_t size;
    int64_t time_ns;    /* which names the content (docs/format.md) */
    struct stat status; /* of the directory */
};

/* What a manifest is made of, but for keys. */
struct manifest_facts {
    uint8_t sum[HASH_SIZE]; /* of all names, of what stat says of them, and of owners' names */
    struct timespec newest; /* time of change of anything in it */
    struct stat status;     /* of the directory */
};

/* Looks at all that the manifest of the directory PATH tells of, but for what a time of change
 * covers: targets and extended attributes. */
int sealed_manifest_facts(struct source *tree, const char *path, struct manifest_facts *ret);

/* That of the directory PATH of TREE, whose NAMES are known by KEYS. */
int sealed_manifest_make(struct source *tree, const struct seal_keys *keys,
                         struct sealed_names *names, const char *path, struct made_manifest *ret);
