/* SPDX-License-Identifier: MIT */
/*
 * The encoded view: a directory for each share, "00", "01", ... in two lower-case hex digits, and
 * in each the source's tree with every regular file replaced by its share.
 */
#pragma once

#include "share/layout.h"
#include "view/view.h"

struct encoding {
    enum share_format format;
    unsigned required;   /* k, 1..255 */
    unsigned shares;     /* n, k..256 */
    uint32_t block_size; /* B, counts in checked format only */
};

/* The view of the tree at SOURCE. What cannot be opened is the caller's to report. */
int encoded_view_new(const char *source, const struct encoding *encoding, struct view **ret);
