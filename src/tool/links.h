/* SPDX-License-Identifier: MIT */
/* Files that have several names: the first is copied, the others are linked to it at the end. */
#pragma once

#include "base/cleanup.h"

#include <stddef.h>
#include <sys/stat.h>

struct links;

int links_new(struct links **ret);
void links_free(struct links *links);

/*
 * Notes a name of the file of STATUS. Returns 1 where it is the first one of it, 0 for one more, or
 * -ENOMEM. Any thread may call it.
 */
int links_add(struct links *links, const struct stat *status, const char *path);

/* Calls VISIT for each name but the first of each file. */
void links_visit(const struct links *links,
                 void (*visit)(void *context, const char *first, const char *path), void *context);

DEFINE_CLEANUP(struct links *, links_free)
#define cleanup_links CLEANUP(cleanup_by_links_free)
