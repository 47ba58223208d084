/* SPDX-License-Identifier: MIT */
/*
 * Files that have several names: one is copied, the others are linked to it at the end. Where the
 * trees of a source disagree (a store lost a link), two names are one file if more of the trees
 * that have both say so than not. No I/O.
 */
#pragma once

#include "base/cleanup.h"
#include "view/source.h"

struct links;

int links_new(struct links **ret);
void links_free(struct links *links);

/*
 * Notes a name. Returns 1 where it is to be copied at once: no tree has the object by a name that
 * was noted before. 0 where it has to wait, as it may be one more name of something. -ENOMEM. Any
 * thread may call it.
 */
int links_add(struct links *links, const struct source_inodes *inodes, const char *path);

/* Finds out what belongs together. No name may be added any more. Returns 0 or -ENOMEM. */
int links_settle(struct links *links);

/*
 * Calls VISIT for each name that waits and belongs to none that was copied, but has to be, with
 * FIRST NULL. Or, with FURTHER, for all other names: with the name FIRST that each belongs to, and
 * how many trees say so; UINT_MAX where the source is just one tree.
 */
void links_visit(const struct links *links, bool further,
                 void (*visit)(void *context, const char *first, const char *path, unsigned voices),
                 void *context);

DEFINE_CLEANUP(struct links *, links_free)
#define cleanup_links CLEANUP(cleanup_by_links_free)
