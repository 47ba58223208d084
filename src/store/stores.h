/* SPDX-License-Identifier: MIT */
/*
 * The stores of a view: the directories below one directory, and others named one by one. Their
 * names and their order mean nothing. They may come and go while the view is in use.
 */
#pragma once

#include "base/names.h"
#include "store/list.h"

struct stores;

/*
 * The sub-directories of DIRECTORY (NULL: none; symlinks to directories count, the user made them),
 * then those in OTHERS, both sorted by name. Usual leftovers and lost+found are no stores. What
 * cannot be opened below DIRECTORY, or does not answer in time, is logged and left out; DIRECTORY
 * itself, or one of OTHERS that is not there, is logged and the error.
 */
int stores_open(const char *directory, const struct names *others, const struct stores_terms *terms,
                struct stores **ret);

void stores_close(struct stores *stores);

/* Looks for stores at PATHS as well. To be called before anything is asked of the stores. */
int stores_add(struct stores *stores, const struct names *paths);

/* From now on the stores whose absolute paths, without symlinks, are among PATHS are none of these.
 * To be called before anything is asked of the stores. MISSED: they should have been stores of
 * these, and count like those that cannot be opened. Returns 0 or -ENOMEM. */
int stores_leave_out(struct stores *stores, const struct names *paths, bool missed);

/* Adds the absolute paths, without symlinks, of the stores that are there. Asks none of them. */
int stores_real_paths(struct stores *stores, struct names *paths);

/*
 * The stores that are there now, as of a look a second ago at most; the caller frees the list. The
 * first time that a store is there, a sample of it is taken; one that is slow is not waited for
 * where K is clear without it.
 */
int stores_now(struct stores *stores, struct store_list **ret);

/* How many stores there are, as far as is known without asking them. */
size_t stores_count(struct stores *stores);

DEFINE_CLEANUP(struct stores *, stores_close)
#define cleanup_stores CLEANUP(cleanup_by_stores_close)
