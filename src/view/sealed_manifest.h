/* SPDX-License-Identifier: MIT */
/* Makes the manifests of a source's directories for sealed shares. */
#pragma once

#include "seal/manifest.h"
#include "view/sealed_names.h"

/* What is in a file `zmanifest`, and its time and status. */
struct made_manifest {
    uint8_t *content; /* the caller frees it; never empty */
    size_t size;
    int64_t time_ns;    /* identifies the content (docs/format.md) */
    struct stat status; /* of the directory */
};

/* Everything that determines a manifest, except keys. */
struct manifest_facts {
    uint8_t sum[HASH_SIZE]; /* over all names, their status, and the names of owners */
    struct timespec newest; /* latest time of change of anything in it */
    struct stat status;     /* of the directory */
};

/* Reads the facts of the manifest of the directory PATH. Targets and extended attributes are not
 * read: a time of change covers them. */
int sealed_manifest_facts(struct source *tree, const char *path, struct manifest_facts *ret);

/* Makes the manifest of the directory PATH of TREE, whose NAMES are known by KEYS. */
int sealed_manifest_make(struct source *tree, const struct seal_keys *keys,
                         struct sealed_names *names, const char *path, struct made_manifest *ret);
