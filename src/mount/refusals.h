/* SPDX-License-Identifier: MIT */
/* The answer to every attempt to write: EROFS. */
#pragma once

#include <fuse_lowlevel.h>

/*
 * Sets the operations that write. The kernel refuses by itself as long as the mount is read-only;
 * these are for one that someone remounts with rw.
 */
void refuse_writes(struct fuse_lowlevel_ops *operations);
