/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where PATH really is, symlinks followed, also where it is not there yet. A program of its own
 * looks, for a few seconds at most, since PATH may lie on a file system that hangs; where that does
 * not tell, it is PATH itself. The caller frees it. Returns 0 or a negative errno.
 */
int place_resolve(const char *path, char **ret);
