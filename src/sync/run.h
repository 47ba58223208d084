/* SPDX-License-Identifier: MIT */
/*
 * Runs rsync or rclone for many nodes at once, so that no node holds up another. One thread waits
 * for all of them.
 */
#pragma once

#include "sync/mover.h"

struct run {
    struct transfer *transfers;
    size_t count;
    unsigned jobs;               /* so many at once */
    bool stop;                   /* end all that is under way, and begin nothing */
    int wake;                    /* a descriptor */
    void *context;               /* of: */
    void (*look)(void *context); /* every now and then, and when WAKE is readable */
};

/* Runs until every transfer that waits is done. */
void run_transfers(struct run *run);
