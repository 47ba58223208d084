/* SPDX-License-Identifier: MIT */
/*
 * What an open file gave until now: it must go on being one content. Part of stripe_reading.c.
 *
 * As long as no blocks were seen to contradict each other, this is the digest of each stripe that
 * was given. From then on all blocks of each stripe are read, and what they say is noted.
 */
#pragma once

#include "choice/contest.h"

#include <pthread.h>
#include <stdatomic.h>

struct history {
    atomic_bool begun;     /* a stripe was given */
    atomic_bool contested; /* blocks have contradicted each other */
    pthread_mutex_t lock;  /* of all that follows, and to be held to set these two */
    uint64_t stripes;      /* T */
    uint64_t given;        /* how many of these have a digest here */
    uint8_t (*digests)[HASH_SIZE];
    struct contest contest;
};

void history_init(struct history *history);
void history_clear(struct history *history);

/* The bytes that its digests take. */
size_t history_size(const struct history *history);

/* For a file of that many stripes, of which there are so many copies of shares. */
void history_begin(struct history *history, uint64_t stripes, unsigned required, size_t copies);

/* With the lock held. The stripe was given with this digest. */
void history_add(struct history *history, uint64_t stripe, const uint8_t digest[HASH_SIZE]);

/* With the lock held. The digest that the stripe was given with; NULL where it was not. */
const uint8_t *history_digest(const struct history *history, uint64_t stripe);
