/* SPDX-License-Identifier: MIT */
/* Walks all stores and judges each name. */
#pragma once

#include "engine/roster.h"
#include "restore/inspection.h"

/* All names fall into so many slices, by chance and always the same. */
enum { CHECK_SLICES = 64 };
unsigned check_slice(const char *path);

struct check_settings {
    unsigned jobs;
    double part;   /* of the blocks, as struct inspection_depth has it */
    uint64_t seed; /* the same */
    uint64_t
        slices; /* a bit for each slice whose blocks are read; of the others, headers are read */

    /* Any thread may call these, and at once. ROSTER is that of all stores. */
    void *context;
    void (*report)(void *context, const char *path, const struct inspection *inspection);
    void (*failed)(void *context, const char *path, int error);
};

/*
 * Checks SOURCE, which is made of stores, and reports each name. ROSTER is that of its stores.
 * Returns 0 when all was looked at; -ENOMEM; -ECANCELED.
 */
int check_run(struct source *source, const struct roster *roster,
              const struct check_settings *settings, struct progress *progress);
