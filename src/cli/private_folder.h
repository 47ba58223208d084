/* SPDX-License-Identifier: MIT */
/* A folder that is open to nobody else, for what a run mounts or fetches meanwhile. */
#pragma once

/*
 * Makes one whose name begins with PREFIX, in $XDG_RUNTIME_DIR or in /tmp. The caller frees *RET.
 * Returns 0 or a negative errno after one line in the log.
 */
int private_folder_make(const char *prefix, char **ret);

/* The same in $TMPDIR or in /var/tmp, where there may be room for files. */
int private_folder_make_large(const char *prefix, char **ret);

/* Unmounts what is mounted at PATH, also where its server is gone or does not answer. */
void private_folder_unmount(const char *path);
