/* SPDX-License-Identifier: MIT */
/* What the kernel is told of names and nodes, and for how long it may keep it. */
#pragma once

#include "mount/operations.h"

/* Whether the answers of the view take long. */
bool lookup_is_slow(const struct mounted *mounted);

/* The status of NODE, or of NAME in it where NAME is not NULL. */
int lookup_stat(struct mounted *mounted, uint64_t node, const char *name, struct stat *ret);

/* For how many seconds the kernel may keep attributes. */
double lookup_kept_s(const struct mounted *mounted);

/* The same of the root, which a store that comes may close to others: not for long. */
double lookup_root_kept_s(const struct mounted *mounted);

/* Fills the entry of NAME in PARENT and counts it as looked up. */
int lookup_entry(struct mounted *mounted, uint64_t parent, const char *name,
                 struct fuse_entry_param *ret);
