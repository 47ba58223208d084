/* SPDX-License-Identifier: MIT */
/*
 * The description of a set in the root of each node, DESCRIPTION_NAME: a file of sets with one set,
 * whose first node is the one that has this file. It says how the shares are made, and has the
 * names, places and shares of the nodes. Nothing else is written or read: whoever recovers a set
 * trusts a node with that.
 */
#pragma once

#include "sync/sets.h"
#include "trust/leftover.h"

#include <stdio.h>

/* As rsync and rclone spell it: larger files are no descriptions, and are not fetched. */
#define DESCRIPTION_MAX "1M"

/* Returns the name of the file that describes SET. */
const char *description_name(const struct sync_set *set);

/* Returns the name that a description has for the set: its own; for a sealed set, whose name may
 * say what is in it, "sealed-" and the beginning of its id. */
const char *description_of(const struct sync_set *set);

/* Prints the sections of SET as in a description, FIRST's before those of other nodes; NULL: in
 * the order of the set. Where the set is known by its id, nodes have their shares' names. */
void description_print(const struct sync_set *set, const struct sync_node *first, FILE *file);

/*
 * Makes FOLDER, and in it the description for NODE, readable for all. Its time depends on its bytes
 * alone, so it is sent only if it has changed. Returns 0 or a negative errno; -EINVAL if no reader
 * would accept it.
 */
int description_write(const struct sync_set *set, const struct sync_node *node, const char *folder);

/*
 * Reads the description NAME in FOLDER, as sets_read does; NAME is NULL for any. OF: whose it is,
 * for the log. RET has one set, with at least one node. Returns 0; -ENOENT if there is none; or
 * another negative errno after one line in the log.
 */
int description_read(const char *folder, const char *name, const char *of, struct sets *ret);

/* Removes what was fetched from a node's root into FOLDER, or makes FOLDER. Returns 0 or a negative
 * errno. */
int description_clear(const char *folder);

/*
 * Judges NODE's description in FOLDER. Returns true if there is none, or it is of this set and
 * share; otherwise REASON says what it is. It may say another encoding only if that is the one
 * remembered, which is being changed.
 */
bool description_fits(const struct sync_set *set, const struct sync_node *node, const char *folder,
                      char reason[REASON_SIZE]);

/* Returns true if both folders have a file NAME, of the same bytes. */
bool description_is_same(const char *name, const char *folder, const char *other);
