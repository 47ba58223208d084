/* SPDX-License-Identifier: MIT */
/* A directory tree as a source: the files of which shares are to be made. */
#pragma once

#include "view/source.h"

/* How shares are made of files. */
struct encoding {
    enum share_format format;
    unsigned required;   /* k, 1..255 */
    unsigned shares;     /* n, k..256; only the fec format writes it down */
    uint32_t block_size; /* B, counts in checked format only */
};

/* The tree at PATH. What cannot be opened is the caller's to report. */
int tree_source_new(const char *path, const struct encoding *encoding, struct source **ret);
