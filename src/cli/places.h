/* SPDX-License-Identifier: MIT */
/*
 * Places that a command is to write to: where they are, and what they hold, by a sample of their
 * files. Functions return 0 or a negative errno; what check functions refuse has been logged.
 */
#pragma once

#include "cli/options.h"

/* Finds the absolute path of PATH, without symlinks. What does not exist yet keeps its name. The
 * caller frees it. */
int place_resolve(const char *path, char **ret);

/* As place_resolve, for a PATH that may hang: sets *RET to NULL if it takes some seconds. */
void place_resolve_soon(const char *path, char **ret);

/* Returns true if PATH is FOLDER, or lies in it, by whatever mount. Both are resolved. */
bool place_lies_in(const char *path, const char *folder);

/* Returns true if PLACE lies in the source at FROM, and RULES do not leave it out. Both are
 * resolved. */
bool place_is_shown(const char *from, const char *place, const struct tree_rules *rules,
                    bool is_directory);

/*
 * Checks that PLACE, which the user calls PATH, may hold share INDEX: it does not exist, or has no
 * files, or at least half of those that a sample shows are of that share. -EINVAL: it may not.
 */
int place_check_share(const struct options *options, const char *path, const char *place,
                      uint8_t index);

/* Checks that PLACE, for whole files, is no store. */
int place_check_whole(const char *path, const char *place);

/* Returns true if most files of PATH, not of directories in it, are shares with checks; *RET is the
 * share of one. */
bool place_has_share(const char *path, uint8_t *ret);
