/* SPDX-License-Identifier: MIT */
/* The names of a directory as the kernel takes them: with attributes, or with kinds and numbers. */
#pragma once

#include "mount/mounted.h"

struct directory_part {
    fuse_ino_t node;
    const struct names *names; /* in it; "." and ".." come before them */
    size_t offset;             /* the number of the one to begin with */
    bool plus;                 /* with attributes: those names count as looked up */
    enum detail detail;        /* which of them have attributes, or are looked at */
};

/* Fills DATA (SIZE bytes) with as many as there is room for. *RET is how many bytes they take. */
int listing_fill(fuse_req_t request, const struct directory_part *directory, char *data,
                 size_t size, size_t *ret);
