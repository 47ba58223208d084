/* SPDX-License-Identifier: MIT */
/*
 * Places that a command is to write to: where they are, and what they hold, by a sample of their
 * files. Functions return 0 or a negative errno; what check functions refuse has been logged.
 */
#pragma once

#include "cli/options.h"
#include "sync/sets.h"
#include "tree/whereabouts.h"

/* Finds where PATH is, without symlinks. What does not exist yet keeps its name. Clear RET in any
 * case. */
int place_find(const char *path, struct whereabouts *ret);

/* As above, for an absolute PATH that may hang: after some seconds, it counts as it is written. */
int place_find_soon(const char *path, struct whereabouts *ret);

/* The same of a node's place; RET is empty where that is no directory of this machine. */
int place_find_node(const struct sync_node *node, struct whereabouts *ret);

/* Returns true if PLACE lies in the source at FROM, and RULES do not leave it out. */
bool place_is_shown(const struct whereabouts *from, const struct whereabouts *place,
                    const struct tree_rules *rules, bool is_directory);

/*
 * Checks that PLACE, the real path of what the user calls PATH, may hold share INDEX: it does not
 * exist, or has no files, or at least half of those that a sample shows are of that share. -EINVAL:
 * it may not.
 */
int place_check_share(const struct options *options, const char *path, const char *place,
                      uint8_t index);

/* Checks that PLACE, for whole files, is no store. */
int place_check_whole(const char *path, const char *place);

/* Returns true if most files of PATH, not of directories in it, are shares with checks; *RET is the
 * share of one. */
bool place_has_share(const char *path, uint8_t *ret);
