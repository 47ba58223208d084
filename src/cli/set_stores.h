/* SPDX-License-Identifier: MIT */
/*
 * A set as an address: SET: stands for the stores at all its nodes, and SET:PATH for a directory in
 * them. Nodes that are elsewhere are mounted for as long as the command runs, read-only and open to
 * nobody else, by sshfs or rclone. These end with the process, however it ends.
 */
#pragma once

#include "cli/options.h"
#include "sync/sets.h"

struct set_stores;

/* Returns true if WORD has the form of such an address. */
bool set_stores_is_address(const char *word);

/*
 * Takes options->source for such an address if it has that form, SET:, and there is a set of that
 * name: then its stores are added to those that options name, with its format, its K where none was
 * given, and options->set_stores is set. Left out, and logged, are nodes that cannot be reached; a
 * mount, and decode, wait but a little for more of them than are needed. Returns 0 or a negative
 * errno after one line in the log; -EINVAL: there is no such set, or no such file of sets.
 */
int set_stores_open(struct options *options);

/* Returns the set whose stores options have, all of each; NULL: none. *RET are all sets. */
struct sync_set *set_stores_whole(const struct options *options, struct sets **ret);

/* Returns true if a run of sync or repair of the set was under way since its stores were opened. */
bool set_stores_were_written(const struct options *options);

/* For repair: that set, NULL where there is none; PATH of SET:PATH; where the store of a node is
 * that was opened, else NULL. */
struct sync_set *set_stores_set(const struct options *options);
const char *set_stores_beneath(const struct options *options);
const char *set_stores_path(const struct options *options, size_t node);

/* PATH of SET:PATH in the tree of a sealed set, all of whose stores were opened; "": there is none.
 */
const char *set_stores_inside(const struct options *options);

/* Returns true if the store of that node was to be opened, whether it could be or not. */
bool set_stores_wanted(const struct options *options, size_t node);

/* Names the nodes that were not read since others seemed enough, and says what changes that: check,
 * and then what AGAIN says. */
void set_stores_tell_unfetched(const struct options *options, const char *again);

/* Mounts the rebuilt view of these stores, by a process of its own, and stores where. Returns 0 or
 * a negative errno after one line in the log. */
int set_stores_show(const struct options *options, const char **ret);

/* Unmounts what was mounted; to be called when nothing in it is open any more. */
void set_stores_close(void);
