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
    bool owned; /* another owner is a lack even if this user is not root */
};

enum metadata_part {
    METADATA_OWNER = 1 << 0,
    METADATA_ATTRIBUTES = 1 << 1,
    METADATA_MODE = 1 << 2,
    METADATA_TIME = 1 << 3,
    METADATA_PARTS = 4,
};

/* What an object could not be given, by the user or in its file system. */
struct metadata_lack {
    unsigned parts; /* of enum metadata_part */
    int error;      /* of the first of them; 0: the file system took it and does not keep it */
};

/*
 * Gives what has the name NAME in DIRECTORY, a symlink itself, this metadata; a dry run only looks.
 * What is right already is not touched, nor is a time that agrees (base/times.h). What is refused
 * for good goes to *RET_LACK, and the rest is given: no setuid and setgid bits without the owner or
 * group, and no rights that someone would not have with the access control list, where that is
 * refused. Returns 1 where something was changed, or would be, 0, or a negative errno, with which
 * it ended early.
 */
int metadata_apply(int directory, const char *name, const struct metadata *metadata, bool dry_run,
                   struct metadata_lack *ret_lack);

/* The same for a new file that FD is open for, with an exact time; *RET_STATUS is what it was. */
int metadata_apply_open(int fd, const struct metadata *metadata, struct stat *ret_status,
                        struct metadata_lack *ret_lack);
