/* SPDX-License-Identifier: MIT */
/* Places that a command is to write to. Functions return 0 or a negative errno. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Finds the absolute path of PATH, without symlinks. What does not exist yet keeps its name. The
 * caller frees it. */
int destination_resolve(const char *path, char **ret);

/* As destination_resolve, for a PATH that may hang: sets *RET to NULL if it takes some seconds. */
void destination_resolve_soon(const char *path, char **ret);

/* Finds the device that PATH, which is resolved, is or would be on. */
int destination_device(const char *path, dev_t *ret);

/* Returns true if PATH is FOLDER, or lies in it. Both are resolved. */
bool destination_lies_in(const char *path, const char *folder);

/* Writes out the names in the directory that holds PATH. */
int destination_settle(const char *path);
