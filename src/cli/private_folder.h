/* SPDX-License-Identifier: MIT */
/* A folder that is closed to other users, for what a run mounts or fetches. */
#pragma once

#include <stdbool.h>

/* Returns where they are made: $XDG_RUNTIME_DIR or /tmp; if LARGE, $TMPDIR or /var/tmp, which may
 * have room for files. */
const char *private_folder_base(bool large);

/*
 * Makes a folder whose name begins with PREFIX. The caller frees *RET. Returns 0 or a negative
 * errno after one line in the log.
 */
int private_folder_make(bool large, const char *prefix, char **ret);

/* Unmounts what is mounted at PATH, even if its server is gone or does not answer. */
void private_folder_unmount(const char *path);
