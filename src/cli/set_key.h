/* SPDX-License-Identifier: MIT */
/*
 * The key of a sealed set: in the file that the set names, or in SET.key beside its state.
 * Functions return 0 or a negative errno after one line in the log.
 */
#pragma once

#include "cli/options.h"
#include "sync/sets.h"

/*
 * Reads the key for a run of sync, and stores in SET what follows from it. The first run makes it,
 * after all nodes have answered that they hold nothing of another key: a fresh key changes all
 * names, and what is there would be lost. A dry run makes none; nothing that follows from the key
 * is known then. What is remembered of SET must have been read. -ECANCELED: the user stopped it.
 */
int set_key_take(const struct options *options, struct sync_set *set);

/* Stores in SET what follows from its key's ID; refuses another than SET names. */
int set_key_learn(struct sync_set *set, const uint8_t id[SET_ID_SIZE]);

/* Replaces TREE by its sealed shares, for the view of a run. TREE is taken over. */
int set_key_seal(const struct sync_set *set, struct source *tree, struct source **ret);

/* Sets the key of OPTIONS, which name the stores of SET, to the set's key file if that exists, and
 * passphrase_file and id to the set's, unless they were given. */
int set_key_offer(const struct sync_set *set, struct options *options);
