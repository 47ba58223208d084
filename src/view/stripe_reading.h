/* SPDX-License-Identifier: MIT */
/* The reading of one stripe from the copies of its shares. Part of share_set.c. */
#pragma once

#include "view/copies.h"
#include "view/history.h"

#include <pthread.h>

struct stripe_reading {
    const char *path;                   /* for messages */
    const struct share_header *version; /* its index means nothing */
    uint64_t stripe;
    struct copies *copies;
    pthread_mutex_t *lock; /* of what reading teaches about the copies */
    struct history *history;
    bool partial;  /* stores may still bring more copies: nothing is to be settled without them */
    uint8_t *data; /* room for k*u bytes; the stripe, where the result is 0 */
};

/*
 * Reads block after block until k of them give the stripe. Returns 0; -ENODATA where there are too
 * few good blocks; -EBADMSG where they contradict each other and nothing settles it; -EAGAIN where
 * more copies are to be had before that is tried; -ENOMEM.
 */
int stripe_reading_run(struct stripe_reading *reading);
