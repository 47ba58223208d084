/* SPDX-License-Identifier: MIT */
/*
 * What an object has besides its content: mode, owner, time, extended attributes. Of its owner,
 * what the user may give: root any, others a group of theirs.
 */
#pragma once

#include "base/xattrs.h"

#include <sys/stat.h>

struct metadata {
    struct stat status; /* mode, owner and mtime count */
    struct xattrs xattrs;
};

/*
 * Gives what has the name NAME in DIRECTORY, a symlink itself, this metadata; what is right already
 * is not touched. Returns 1 where something was changed, 0, or a negative errno (-ENOTSUP where
 * the file system does not keep some of it).
 */
int metadata_apply(int directory, const char *name, const struct metadata *metadata);

/* The same for what FD is open for; *RET_STATUS is what it was. */
int metadata_apply_open(int fd, const struct metadata *metadata, struct stat *ret_status);

/* 1 where metadata_apply would change something, 0 where not, or a negative errno. */
int metadata_differs(int directory, const char *name, const struct metadata *metadata);
