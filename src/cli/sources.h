/* SPDX-License-Identifier: MIT */
/* Opens the sources that a command line names. Failures have been logged. */
#pragma once

#include "cli/options.h"
#include "view/store_source.h"

/*
 * Takes STORES from the words of a command; it may be missing if --store names all. OTHERS more
 * words follow it. Opens the stores of a set (cli/set_stores.h). Returns 0, or a negative errno
 * after one line in the log; -EINVAL: the words are wrong.
 */
int take_stores(struct options *options, size_t others);

/* Opens the tree at the argument SOURCE, sealed if its shares are to be. */
int source_of_tree(struct options *options, struct source **ret);

/*
 * Opens the content of STORES and of all that store= names, for a mount: -EINVAL if a store is in
 * another format, -ENODATA if no share has a header and no store is to be waited for. TERMS: how it
 * reports what is missing, and is stopped; format and the like are set here.
 */
int source_of_stores(const struct options *options, struct share_terms terms, struct source **ret);

/*
 * Like source_of_stores for commands, which cannot wait for stores, in two parts: the stores are
 * found, then sampled; more may be added in between. TERMS: what happens to names that are not
 * believed; format and the like are set here. Says which stores are empty, but not for repair.
 * -ENOENT: there are no stores now; -EINVAL: one is in another; -ENODATA: too few of them hold
 * anything; -EIO: K is not known.
 */
int source_find_stores(const struct options *options, struct share_terms terms,
                       struct source **ret);
int source_hear_stores(const struct options *options, struct source *source);

/* Logs that a store is empty: it looks like a disk that is not mounted. */
void tell_empty_store(const struct store *store);

/*
 * Returns 1 if SOURCE has anything besides directories, 0 if not: then it looks like a disk that is
 * not mounted. Or a negative errno if it cannot be listed.
 */
int source_has_files(struct source *source);

/*
 * Refuses to have encode write to a store where the directory of the stores should be; and, if the
 * user gave no K, to stores of another K than the default. Returns 0 or a negative errno; -EINVAL
 * for these.
 */
int sources_check_written(const struct options *options);

/* Returns the exit status of a command that could not open its stores. */
enum exit_status status_of_stores(int error);

/*
 * Checks, before anything is made, that files that a command writes besides its results, like the
 * --log-file, are not in a store or a node of a set, nor elsewhere in what it reads or writes:
 * there they would replace a share, or add a name. Returns 0 or a negative errno; -EINVAL for such
 * a file.
 */
int sources_check_beside(const struct options *options);
