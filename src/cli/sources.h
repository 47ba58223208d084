/* SPDX-License-Identifier: MIT */
/* The sources that a command line names. What fails has been logged. */
#pragma once

#include "cli/options.h"
#include "view/store_source.h"

/*
 * Takes STORES from the words of a command, which may lack where --store names all; OTHERS more
 * stand behind it. Opens those of a set (cli/set_stores.h). Returns 0, or a negative errno after
 * one line in the log; -EINVAL where the words make no sense.
 */
int take_stores(struct options *options, size_t others);

/* The tree at the argument SOURCE, sealed where its shares are to be. */
int source_of_tree(struct options *options, struct source **ret);

/*
 * What is in STORES and in all that store= names, for a mount: -EINVAL where a store is in another
 * format, -ENODATA where no share has a header and no store is to be waited for. TERMS: whether it
 * is told of what is lacking, and stopped; format and the like are set here.
 */
int source_of_stores(const struct options *options, struct share_terms terms, struct source **ret);

/*
 * The same for commands, which cannot wait for stores to come, in two parts: the stores are found,
 * and heard; more may be added in between. TERMS: how names that are not believed are dealt with;
 * format and the like are set here. Says which stores hold nothing, but not to repair.
 * -ENOENT: there are no stores now; -EINVAL: one lies in another; -ENODATA: too few of them hold
 * anything; -EIO: K is not known.
 */
int source_find_stores(const struct options *options, struct share_terms terms,
                       struct source **ret);
int source_hear_stores(const struct options *options, struct source *source);

/* Says that a store holds nothing; it looks like a disk that is not mounted. */
void tell_empty_store(const struct store *store);

/*
 * Returns 1 if there is anything in SOURCE but directories, 0 if not: then it looks like a disk
 * that is not mounted. Or a negative errno where it cannot be listed.
 */
int source_has_files(struct source *source);

/*
 * Refuses what encode is to write to that is a store itself, where the directory of the stores
 * should be; and, where the user gave no K, stores of another one than the default. Returns 0 or a
 * negative errno; -EINVAL for these.
 */
int sources_check_written(const struct options *options);

/* What a command ends with that could not open its stores. */
enum exit_status status_of_stores(int error);

/*
 * Checks, before anything is made, that no file that a command writes beside its results, like the
 * --log-file, is in a store or in a node of a set, nor elsewhere in what it reads or writes: it
 * would take the place of a share, or be a name among them. Returns 0 or a negative errno; -EINVAL
 * for such a file.
 */
int sources_check_beside(const struct options *options);
