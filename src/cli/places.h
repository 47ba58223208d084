/* SPDX-License-Identifier: MIT */
/*
 * Places that a command is to write to: where they are, and what a sample of their files shows they
 * hold. Functions return 0 or a negative errno; refusals by check functions have been logged.
 */
#pragma once

#include "cli/options.h"
#include "sync/sets.h"
#include "tree/whereabouts.h"

/* Finds where PATH is, without symlinks. A part that does not exist yet keeps its name. Clear RET
 * in any case. */
int place_find(const char *path, struct whereabouts *ret);

/* Like place_find, for an absolute PATH that may hang: after some seconds, it is taken as
 * written. */
int place_find_soon(const char *path, struct whereabouts *ret);

/* Like place_find_soon, for a node's place; RET is empty if that is no directory of this
 * machine. */
int place_find_node(const struct sync_node *node, struct whereabouts *ret);

/* Returns true if PLACE lies in the source at FROM, and RULES do not leave it out. */
bool place_is_shown(const struct whereabouts *from, const struct whereabouts *place,
                    const struct tree_rules *rules, bool is_directory);

/*
 * Checks that PLACE, the real path of the user's PATH, may hold share INDEX: it does not exist, has
 * no files, or at least half of the files in a sample are of that share. -EINVAL: it may not.
 */
int place_check_share(const struct options *options, const char *path, const char *place,
                      uint8_t index);

/* Checks that PLACE, for whole files, is no store. */
int place_check_whole(const char *path, const char *place);

/* Returns true if most files directly in PATH are shares with checks; *RET is the share of one. */
bool place_has_share(const char *path, uint8_t *ret);
