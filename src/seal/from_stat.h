/* SPDX-License-Identifier: MIT */
/* Converts what the system says of an object to what a manifest says of it, and back. */
#pragma once

#include "seal/manifest.h"

#include <sys/stat.h>

/* Names of users or of groups, cached: the system is asked once for each number. */
struct owner_names {
    struct owner_name *items; /* sorted by number */
    size_t count;
};

/* Not thread-safe: each thread needs its own. */
struct owners {
    struct owner_names users, groups;
};

#define NO_OWNERS ((struct owners){.users = {NULL, 0}})

void owners_clear(struct owners *owners);

/*
 * Fills in all that STATUS says, and the owner's names as OWNERS or the system know them. Takes
 * TARGET (of a symlink) and XATTRS over, also on failure; NULL: there are none. The caller sets id
 * and link. Returns 0 or -ENOMEM; clear RET in any case.
 */
int attributes_from_stat(struct owners *owners, const struct stat *status, char *target,
                         struct xattrs *xattrs, struct manifest_attributes *ret);

/* Sets mode, owner's numbers, mtime, size and device from ATTRIBUTES; the rest of RET is zero. */
void attributes_to_stat(const struct manifest_attributes *attributes, struct stat *ret);

#define cleanup_owners CLEANUP(owners_clear)
