/* SPDX-License-Identifier: MIT */
/* What repair has to send of the key of a sealed set: the files `key` in the roots of its nodes. */
#pragma once

#include "cli/node_keys.h"
#include "sync/sets.h"

/* What a node should have, where anything is. */
struct node_due {
    bool known;
    bool differs; /* what it has; only where its store was read */
    uint8_t bytes[KEY_SHARE_SIZE];
};

/*
 * Finds out what each node of SET, the set of OPTIONS, should have: by the key of OPTIONS, else by
 * what the nodes that were read agree on. Stores in SET what follows from the key. Nothing is due
 * where no node has anything, or none is to. *RET has an entry for each node, to be wiped and freed
 * by due_free. Returns 0 or a negative errno after one line in the log.
 */
int due_find(const struct options *options, struct sync_set *set, struct keys_found *found,
             struct node_due **ret);
void due_free(struct node_due *due, size_t count);

/* Makes FOLDER with a file `key` in it. Returns 0 or a negative errno. */
int due_write(const struct node_due *due, const char *folder);
