/* SPDX-License-Identifier: MIT */
/*
 * What the storage of a store cannot keep: SFTP and clouds know no owners, some of these no modes,
 * symlinks or times. That shows in all of its names alike, and is no damage. Pure decisions, no
 * I/O.
 */
#pragma once

#include "restore/inspection.h"

enum limit {
    LIMIT_FRACTIONS = 1 << 0, /* of seconds */
    LIMIT_OWNERS = 1 << 1,
    LIMIT_MODES = 1 << 2,
    LIMIT_TIMES = 1 << 3, /* of files */
    LIMIT_DIRECTORY_TIMES = 1 << 4,
    LIMIT_SYMLINK_TIMES = 1 << 5,
    LIMIT_SYMLINKS = 1 << 6,
    LIMIT_SPECIAL = 1 << 7,
    LIMIT_DIRECTORIES = 1 << 8, /* without files in them */
    LIMITS = 9,
    LIMIT_ATTRIBUTES = 1 << LIMITS, /* known by the root; shown where copies have no_attributes */
};

/* What is seen of the names that are shown, in one store; all zero at first. */
struct limits_seen {
    struct same_in_all {
        uint64_t names;  /* that were looked at */
        uint64_t others; /* of these, those that differ from what is shown */
        bool differ;     /* two of them are not alike */
        mode_t mode;
        uid_t uid;
        gid_t gid;
    } owners, files, directories; /* the last two are modes */
    struct limits_pair {
        uint64_t right, wrong;
    } times[3]; /* of files, directories and symlinks */
    struct limits_pair fractions;
    struct limits_pair symlinks, special; /* wrong: missing */
    uint64_t missing_directories;
};

/*
 * Notes a name that is SHOWN so, of which the store has OWN (NULL: it has none, or something else).
 * RIGHT_TIME of a file: that of its header, where that is known; otherwise NULL.
 */
void limits_note(struct limits_seen *seen, const struct stat *own, const struct stat *shown,
                 const struct timespec *right_time);

/*
 * Returns a set of enum limit. A few names are not enough. With IS_OF_RCLONE one time is enough,
 * and of directories, whose times rclone does not send, none is needed.
 */
unsigned limits_of(const struct limits_seen *seen, bool is_remote, bool is_of_rclone);

/* Clears differences of copy number PLACE that LIMITS explain. */
void limits_excuse(unsigned limits, struct inspection *inspection, size_t place);
