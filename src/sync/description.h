/* SPDX-License-Identifier: MIT */
/*
 * What each node has in its root to tell of the others, DESCRIPTION_NAME: a file of sets with one
 * set, of which the first node is the one that it lies at. Nothing is written, or taken, but what
 * its shares are made by, and the names, places and shares of the nodes: whoever recovers a set
 * trusts a node with it.
 */
#pragma once

#include "sync/sets.h"
#include "trust/leftover.h"

#include <stdio.h>

/* As rsync and rclone take it: what a node has that is larger is none, and is not fetched. */
#define DESCRIPTION_MAX "1M"

/* Returns what the description of SET is called. */
const char *description_name(const struct sync_set *set);

/* Returns what it calls the set: its name; of a sealed one, whose name may tell of what is in it,
 * "sealed-" and the beginning of its id. */
const char *description_of(const struct sync_set *set);

/* Prints the sections of SET as they may stand in a description, FIRST's before other nodes'; NULL:
 * in the order of the set. Where the set is known by its id, nodes are called as their shares. */
void description_print(const struct sync_set *set, const struct sync_node *first, FILE *file);

/*
 * Makes FOLDER, and in it the description for NODE, for all to read. Its time depends on nothing
 * but its bytes, so that it is sent only where it has changed. Returns 0 or a negative errno;
 * -EINVAL where nobody would take it.
 */
int description_write(const struct sync_set *set, const struct sync_node *node, const char *folder);

/*
 * Reads the description NAME in FOLDER, which is OF somebody, as sets_read does; NAME is NULL for
 * any. RET has one set, with at least one node. Returns 0; -ENOENT, if there is none; or another
 * negative errno after one line in the log.
 */
int description_read(const char *folder, const char *name, const char *of, struct sets *ret);

/* Removes what was fetched from a node's root into FOLDER, or makes FOLDER. Returns 0 or a negative
 * errno. */
int description_clear(const char *folder);

/*
 * Judges the description in FOLDER, which NODE has. Returns true if it has none, or one of this set
 * and share; else REASON says what it is. It may be of another encoding only where that is known,
 * and so is just being changed.
 */
bool description_fits(const struct sync_set *set, const struct sync_node *node, const char *folder,
                      char reason[REASON_SIZE]);

/* Returns true if both folders have a file NAME, of the same bytes. */
bool description_is_same(const char *name, const char *folder, const char *other);
