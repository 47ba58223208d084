/* SPDX-License-Identifier: MIT */
/* From what the system says of an object to what a manifest says of it, and back. */
#pragma once

#include "seal/manifest.h"

#include <sys/stat.h>

/* Names of users or of groups that were asked for: the system is asked once for each number. */
struct owner_names {
    struct owner_name *items; /* in the order of their numbers */
    size_t count;
};

/* For one thread. */
struct owners {
    struct owner_names users, groups;
};

#define NO_OWNERS ((struct owners){.users = {NULL, 0}})

void owners_clear(struct owners *owners);

/*
 * Fills in all that STATUS says, and the owner's names as OWNERS or the system know them. TARGET,
 * of a symlink, and XATTRS are taken over, also in failure; NULL where there is none. Id and link
 * are left to the caller. Returns 0 or -ENOMEM; clear RET in any case.
 */
int attributes_from_stat(struct owners *owners, const struct stat *status, char *target,
                         struct xattrs *xattrs, struct manifest_attributes *ret);

/* The other way: mode, owner's numbers, mtime, size and device; the rest of RET is zero. */
void attributes_to_stat(const struct manifest_attributes *attributes, struct stat *ret);

#define cleanup_owners CLEANUP(owners_clear)
