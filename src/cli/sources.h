/* SPDX-License-Identifier: MIT */
/* The sources that a command line names. What fails has been logged. */
#pragma once

#include "cli/exit_status.h"
#include "cli/options.h"
#include "view/store_source.h"

/*
 * Takes STORES from the words of a command, which may lack where --store names all; OTHERS more
 * stand behind it. Returns 0, or -EINVAL after one line in the log, or -ENOMEM.
 */
int take_stores(struct options *options, size_t others);

/* The tree at the argument SOURCE. */
int source_of_tree(struct options *options, struct source **ret);

/*
 * What is in STORES and in all that store= names, for a mount: -EINVAL where a store is in another
 * format, -ENODATA where no share has a header and no store is to be waited for; logged.
 */
int source_of_stores(const struct options *options, struct source **ret);

/*
 * The same for commands, which cannot wait for stores to come; says which hold nothing. TERMS: how
 * names that are not believed are dealt with; format and the like are set here. -ENOENT where there
 * are no stores now; -EINVAL where one lies in another; -ENODATA where too few of them hold
 * anything; -EIO where K is not known.
 */
int source_of_stores_now(const struct options *options, struct share_terms terms,
                         struct source **ret);

/* The two parts of that: the stores are found, and heard. More may be added in between. */
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
 * Adds the absolute paths, without symlinks, of the stores in DIRECTORY, or, where that is NULL, of
 * those that --store names. What is not there is left out without a word. Returns 0 or -ENOMEM.
 */
int source_add_places(const struct options *options, const char *directory, struct names *places);

/*
 * Returns true if PLACE lies in the source at FROM, and RULES do not leave it out. Both paths are
 * resolved.
 */
bool source_shows(const char *from, const char *place, const struct tree_rules *rules,
                  bool is_directory);

/* What a command ends with that could not open its stores. */
enum exit_status status_of_stores(int error);
