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

/* That of the directory PATH of TREE, whose NAMES are known by KEYS. */
int sealed_manifest_make(struct source *tree, const struct seal_keys *keys,
                         struct sealed_names *names, const char *path, struct made_manifest *ret);
