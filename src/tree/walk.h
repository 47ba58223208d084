/* SPDX-License-Identifier: MIT */
/* From a directory to a path beneath it, without ever leaving it. Part of tree.c. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/*
 * Opens PATH beneath the directory ROOT as a place (O_PATH). No symlink is followed; one at the
 * path's end is opened itself. "" is ROOT. *RET is -1 where PATH is the root of the file system
 * that walk_avoid names. -ENOENT; -ENOTDIR where something on the way is no directory, a symlink
 * for example; -EXDEV for ".."; ...
 */
int walk_beneath(int root, const char *path, int *ret);

void walk_avoid(dev_t device);

/* Whether FD is on that file system, which is not asked. Returns 0 or a negative errno. */
int walk_is_avoided(int fd, bool *ret);
