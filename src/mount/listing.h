/* SPDX-License-Identifier: MIT */
/* The names of a directory with their attributes, as the kernel takes them. */
#pragma once

#include "mount/operations.h"

/*
 * Fills DATA (SIZE bytes) with "." and ".." and the NAMES in PARENT, from number OFFSET on, as many
 * as there is room for; they count as looked up. *RET is how many bytes they take.
 */
int listing_fill(fuse_req_t request, fuse_ino_t parent, const struct names *names, size_t offset,
                 char *data, size_t size, size_t *ret);
