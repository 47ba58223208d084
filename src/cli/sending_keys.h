/* SPDX-License-Identifier: MIT */
/* What repair sends of the key of a sealed set: the files `key` in the roots of its nodes. */
#pragma once

#include "cli/node_keys.h"
#include "sync/sets.h"

/* What a node should have, if anything. */
struct node_due {
    bool known;
    bool differs; /* from what it has; only known if its store was read */
    uint8_t bytes[KEY_SHARE_SIZE];
};

/*
 * Finds out what each node of SET, the set of OPTIONS, should have: from the key of OPTIONS, else
 * from what the nodes that were read agree on. Stores in SET what follows from the key. If no node
 * has a part of the key, or none is to have one, nothing is due. *RET has an entry for each node;
 * due_free wipes and frees it. Returns 0 or a negative errno after one line in the log.
 */
int due_find(const struct options *options, struct sync_set *set, struct keys_found *found,
             struct node_due **ret);
void due_free(struct node_due *due, size_t count);

/* Makes FOLDER with the file `key` in it. Returns 0 or a negative errno. */
int due_write(const struct node_due *due, const char *folder);
