/* SPDX-License-Identifier: MIT */
/*
 * The encoded view of a set, mounted for one run: in a directory that is open to nobody else, by a
 * process that ends, and unmounts, with the one that began it. What a run left that was killed
 * together with that process, the next run of the set removes.
 */
#pragma once

#include "sync/sets.h"

struct private_view {
    char *folder; /* its own: whatever the run needs meanwhile may be made here */
    char *mount;  /* where the directories of the shares are */
    pid_t server;
    int tie;  /* to the server, which lets go of the terminal when this is closed */
    int lock; /* borrowed */
};

/*
 * LOCK is the set's. Takes SET->rules.excludes over. To be called while there is but one thread.
 * Returns 0 or a negative errno after one line in the log.
 */
int private_view_open(struct sync_set *set, int lock, struct private_view *ret);

void private_view_close(struct private_view *view);
