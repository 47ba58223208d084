/* SPDX-License-Identifier: MIT */
/* Small files are given to the kernel as they are opened, which saves the request to read them. */
#pragma once

#include "mount/operations.h"

/*
 * Gives the pages of NODE to the kernel, where a file is small and the kernel may not have them.
 * HANDLE has the file, of which nodes_open was called; INFO, the answer, is changed accordingly.
 * What does not succeed is left to be read as usual.
 */
void small_file_give(struct mounted *mounted, uint64_t node, struct handle *handle,
                     struct fuse_file_info *info);
