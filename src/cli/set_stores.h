/* SPDX-License-Identifier: MIT */
/*
 * A set as an address: SET: stands for the stores at all its nodes, and SET:PATH for a directory in
 * them. Nodes on other machines are mounted by sshfs or rclone while the command runs, read-only
 * and closed to other users. These programs end with the process, however it ends.
 */
#pragma once

#include "cli/options.h"
#include "sync/sets.h"

struct set_stores;

/* Returns true if WORD has the form of such an address. */
bool set_stores_is_address(const char *word);

/*
 * Takes options->source as such an address if it has the form SET: and there is a set of that name.
 * Then adds its stores to those that options name, sets the set's format, its K unless one was
 * given, and options->set_stores. Nodes that cannot be reached are logged and left out; a mount,
 * and decode, wait only briefly for more nodes than are needed. Returns 0 or a negative errno after
 * one line in the log; -EINVAL: there is no such set, or no such file of sets.
 */
int set_stores_open(struct options *options);

/* Returns the set all of whose stores options have; NULL: none. *RET: all sets. */
struct sync_set *set_stores_whole(const struct options *options, struct sets **ret);

/* Returns true if sync or repair of the set has been running at any time since its stores were
 * opened. */
bool set_stores_were_written(const struct options *options);

/* For repair: the set, or NULL if there is none; PATH of SET:PATH; the path of a node's store, or
 * NULL if it was not opened. */
struct sync_set *set_stores_set(const struct options *options);
const char *set_stores_beneath(const struct options *options);
const char *set_stores_path(const struct options *options, size_t node);

/* Returns PATH of SET:PATH in the tree of a sealed set whose whole stores were opened; "": none. */
const char *set_stores_inside(const struct options *options);

/* Returns true if the store of that node was to be opened, even if that failed. */
bool set_stores_wanted(const struct options *options, size_t node);

/* Names the nodes that were not read because others seemed enough, and says how to include them:
 * check, then what AGAIN says. */
void set_stores_tell_unfetched(const struct options *options, const char *again);

/* Mounts the rebuilt view of these stores by a process of its own, and sets *RET to where. Returns
 * 0 or a negative errno after one line in the log. */
int set_stores_show(const struct options *options, const char **ret);

/* Unmounts what was mounted. Call it when nothing in it is open any more. */
void set_stores_close(void);
