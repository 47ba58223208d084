/* SPDX-License-Identifier: MIT */
/*
 * Leftovers of a stopped run at a node: directories with parts of files, and files with the
 * temporary names of rsync or rclone. Each kind is recognized by its name, unless the tree has
 * something of that name.
 */
#pragma once

#include "base/names.h"

#include <stdbool.h>

/*
 * rsync's directories for parts of files. Their names are temporary names, one for each share: the
 * restored view leaves out such a name where only one store has it.
 */
#define LEFT_FOLDER ".zfec-fs-new-00000000000000"

/* Returns true if PATH is such a directory, or within one; *RET_LENGTH is the directory's part. */
bool leftovers_folder(const char *path, size_t *ret_length);

/* Returns true if PATH is a file that rclone was writing. */
bool leftovers_is_partial(const char *path);

/*
 * Adds those of FOUND, paths at a node, to CHOSEN that are not of the tree. SHARE is the directory
 * of the node's share in the view. Returns 0 or -ENOMEM.
 */
int leftovers_choose(const char *share, const struct names *found, struct names *chosen);

/*
 * Makes the directories of PATHS beneath PLACE, which is empty, with their times in SHARE, and
 * nothing else. Returns 0 or a negative errno.
 */
int leftovers_make_folders(const char *share, const struct names *paths, const char *place);
