/* SPDX-License-Identifier: MIT */
/* A directory tree as a source: the files of which shares are to be made. */
#pragma once

#include "tree/exclude.h"
#include "view/source.h"

/* How shares are made of files. */
struct encoding {
    enum share_format format;
    unsigned required;   /* k, 1..255 */
    unsigned shares;     /* n, k..256; only the fec format writes it down */
    uint32_t block_size; /* B, counts in checked format only */
};

/* What of a tree is shown, and how. */
struct tree_rules {
    struct excludes *excludes; /* what is not there */
    bool one_file_system;      /* the roots of others are empty directories */
    bool torn_allowed;         /* a file that changes while it is read is read as it is */
};

/* The tree at PATH. Takes RULES->excludes over. What cannot be opened is the caller's to report. */
int tree_source_new(const char *path, const struct encoding *encoding,
                    const struct tree_rules *rules, struct source **ret);
