/* SPDX-License-Identifier: MIT */
/*
 * The encoded view of a set, mounted for one run in a directory that is closed to other users. Its
 * server ends, and unmounts it, with the process that started it. If both are killed, the next run
 * of the set removes what is left.
 */
#pragma once

#include "sync/sets.h"

struct private_view {
    char *folder; /* private: the run may make files here */
    char *mount;  /* has the directories of the shares */
    pid_t server;
    int tie;  /* to the server, which releases the terminal when this is closed */
    int lock; /* borrowed */
};

/*
 * LOCK is the set's. Takes SET->rules.excludes over. Call it while there is only one thread.
 * Returns 0 or a negative errno after one line in the log.
 */
int private_view_open(struct sync_set *set, int lock, struct private_view *ret);

void private_view_close(struct private_view *view);
