/* SPDX-License-Identifier: MIT */
/* Copies of what rsync daemons hold, which cannot be mounted, in a folder of this machine. */
#pragma once

#include "sync/sets.h"

/* One of these, and what came of it. */
struct fetching {
    const struct sync_node *node;
    char *path; /* of the copy of its share; the caller frees it */
    int result; /* 0, or a negative errno: there may be a part of it, which is to be removed */
    char reason[REASON_SIZE];
};

/*
 * Fetches what is BENEATH the shares of COUNT nodes ("": all) into directories of FOLDER, after a
 * line in the log on how much that is. What cannot be fetched as a whole has failed, since a copy
 * without some of its names would say that they are not there. To be called before any thread is
 * started. Returns 0, or a negative errno after one line in the log; -ECANCELED: it was stopped.
 */
int fetching_run(struct fetching *fetchings, size_t count, const char *folder, const char *beneath);
