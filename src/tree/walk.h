/* SPDX-License-Identifier: MIT */
/* From a directory to a path beneath it, without ever leaving it. Part of tree.c. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/*
 * Opens PATH beneath the directory ROOT as a place (O_PATH). No symlink is followed; one at the
 * path's end is opened itself. "" is ROOT. *RET is -1 where PATH is the root of the file system
 * that walk_avoid names. -ENOENT, -ENOTDIR, -ELOOP, ...; -EXDEV for "..".
 */
int walk_beneath(int root, const char *path, int *ret);

void walk_avoid(dev_t device);
