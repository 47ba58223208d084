/* SPDX-License-Identifier: MIT */
/* Copies of shares on rsync daemons, which cannot be mounted, in a folder of this machine. */
#pragma once

#include "sync/sets.h"

/* A share to fetch, and the result. */
struct fetching {
    const struct sync_node *node;
    char *path; /* the copy of its share; the caller frees it */
    int result; /* 0, or a negative errno: remove what there is of it */
    char reason[REASON_SIZE];
};

/*
 * Fetches BENEATH ("": all) of the shares of COUNT nodes into directories of FOLDER, after a line
 * in the log on their size. A share that cannot be fetched completely has failed, since missing
 * names in the copy would count as missing in the share. Call it before any thread is started.
 * Returns 0, or a negative errno after one line in the log; -ECANCELED: the user stopped it.
 */
int fetching_run(struct fetching *fetchings, size_t count, const char *folder, const char *beneath);
