/* SPDX-License-Identifier: MIT */
/*
 * The key of a set whose shares are sealed: the file that the set names, or SET.key beside its
 * state. Functions return 0 or a negative errno after one line in the log.
 */
#pragma once

#include "cli/options.h"
#include "sync/sets.h"

/*
 * Reads it for a run of sync, and stores in SET what follows from it. The first run makes it, once
 * all nodes have said that they hold nothing of another one: a fresh key changes all names, and
 * what is there would be lost. A dry run makes none; then nothing is known of it. What is
 * remembered of SET was read. -ECANCELED: the user wants the end.
 */
int set_key_take(const struct options *options, struct sync_set *set);

/* Stores in SET what follows from the id of its key; refuses another than SET names. */
int set_key_learn(struct sync_set *set, const uint8_t id[SET_ID_SIZE]);

/* Puts the sealed shares of TREE in its place, for the view of a run. TREE is taken over. */
int set_key_seal(const struct sync_set *set, struct source *tree, struct source **ret);

/* Has OPTIONS, which name the stores of SET, go by the key of the set where it is there, and by its
 * passphrase_file and id, unless others were given. */
int set_key_offer(const struct sync_set *set, struct options *options);
