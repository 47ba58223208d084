/* SPDX-License-Identifier: MIT */
/* Sources of sealed shares. Their key comes from its file, or from any k stores. */
#pragma once

#include "cli/options.h"
#include "sync/state.h"
#include "view/unsealing.h"

/*
 * Makes the sealed shares of TREE, which is taken over. Returns 0, or a negative errno, which was
 * logged: -EINVAL if no key was given, or encode would write where shares of another key are.
 */
int sealed_source_of_tree(const struct options *options, struct source *tree, struct source **ret);

/*
 * If a set's id was given, leaves out the stores in SOURCE that hold shares of another set's key,
 * with a line for each. If a key was given, it does so where the stores have the keys of several
 * sets. -EINVAL: no store has any of that set's.
 */
int source_leave_others(const struct options *options, struct source *source);

/*
 * If shares are sealed, or a key was given, replaces SOURCE, the content of the stores, by what the
 * key opens. -EINVAL if no key was given; -ENODATA if the stores have too little of theirs.
 */
int source_open_sealed(const struct options *options, struct source **source);

/* Returns when the root in sealed STORES last changed, by its manifest; "" if that cannot be
 * read. */
struct time_text source_root_time(struct source *stores);

/*
 * If a key was given, or a passphrase for the stores' key, has check and repair of SOURCE use it.
 * RET is what they need for that: keep it until SOURCE is no longer read. Otherwise RET is NULL,
 * and the user is not asked. Returns 0 or a negative errno, which was logged.
 */
int source_take_key(const struct options *options, struct source *source, struct unsealing **ret);
