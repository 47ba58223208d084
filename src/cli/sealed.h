/* SPDX-License-Identifier: MIT */
/* Sources of sealed shares, and where their key comes from: its file, or any k stores. */
#pragma once

#include "cli/options.h"
#include "sync/state.h"
#include "view/unsealing.h"

/*
 * The sealed shares of TREE, which is taken over. Returns 0, or a negative errno, which was logged:
 * -EINVAL where no key was given, or shares of another key are where encode is to write.
 */
int sealed_source_of_tree(const struct options *options, struct source *tree, struct source **ret);

/*
 * Where the set is given that is meant, or its key while the stores have all of the key of several,
 * leaves out the stores in SOURCE that hold shares of the key of another one, with a line for each.
 * -EINVAL: no store has any of that set's.
 */
int source_leave_others(const struct options *options, struct source *source);

/*
 * Where shares are sealed, or a key was given, puts what their key opens in the place of SOURCE,
 * what is in the stores. -EINVAL where no key was given; -ENODATA where the stores have too little
 * of theirs.
 */
int source_open_sealed(const struct options *options, struct source **source);

/* When the root last changed that is in sealed STORES, by its manifest; "" where that cannot be
 * had.
 */
struct time_text source_root_time(struct source *stores);

/*
 * Where a key was given, or a passphrase for that of the stores, has check and repair of SOURCE go
 * by it: RET is what they need for that, and lives longer than SOURCE is read. Else RET is NULL:
 * nobody is asked for anything. Returns 0 or a negative errno, which was logged.
 */
int source_take_key(const struct options *options, struct source *source, struct unsealing **ret);
