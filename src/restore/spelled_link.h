/* SPDX-License-Identifier: MIT */
/*
 * Symlinks as rclone keeps them where storage has none (--links): NAME.rclonelink is a small file
 * with the target. Here it counts as the symlink NAME, and not as a file.
 */
#pragma once

#include "tree/tree.h"

/*
 * Looks for PATH, which is not there, as a symlink kept so. Clear RET in the end, where this
 * returns 0.
 */
int spelled_link_look(const struct tree *tree, const char *path, struct tree_object *ret);

/* Returns true if PATH, which OBJECT is, is such a file. */
bool spelled_link_is(const char *path, const struct tree_object *object);

/* Adds the names of the symlinks to NAMES, and has those of the files, which may be real ones,
 * looked at more closely. Returns 0 or -ENOMEM. */
int spelled_link_add(struct names *names);
