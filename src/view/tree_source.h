/* SPDX-License-Identifier: MIT */
/* A directory tree as a source: the files that shares are made of. */
#pragma once

#include "tree/exclude.h"
#include "view/source.h"

/* How files are encoded as shares. */
struct encoding {
    enum share_format format;
    unsigned required;   /* k, 1..255 */
    unsigned shares;     /* n, k..256; only the fec format stores it */
    uint32_t block_size; /* B; used only in formats with checks */
};

/* Which part of a tree is shown, and how. */
struct tree_rules {
    struct excludes *excludes; /* what is left out */
    bool one_file_system;      /* the roots of other file systems show as empty directories */
    bool torn_allowed;         /* a file that changes while it is read is no error */
};

/* Opens the tree at PATH. Takes RULES->excludes over. The caller reports what cannot be opened. */
int tree_source_new(const char *path, const struct encoding *encoding,
                    const struct tree_rules *rules, struct source **ret);
