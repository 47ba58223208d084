/* SPDX-License-Identifier: MIT */
/*
 * Runs rsync or rclone for many nodes at once, so that no node holds up another. One thread waits
 * for all of them.
 */
#pragma once

#include "sync/mover.h"

/* Distrusted: it holds other bytes than it should, and all is compared. */
enum transfer_event { TRANSFER_BEGINS, TRANSFER_IS_DISTRUSTED, TRANSFER_FAILS_FOR_NOW };

struct run {
    struct transfer *transfers;
    size_t count;
    unsigned jobs;               /* so many at once */
    bool stop;                   /* end all that is under way, and begin nothing */
    int wake;                    /* a descriptor */
    void *context;               /* of: */
    void (*look)(void *context); /* every now and then, and when WAKE is readable */
    void (*happened)(void *context, const struct transfer *transfer, enum transfer_event event);
};

/* Runs until every transfer that waits is done. */
void run_transfers(struct run *run);
