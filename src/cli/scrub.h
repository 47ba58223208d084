/* SPDX-License-Identifier: MIT */
/* What check is to read of a set's nodes, and what is remembered of how they were found. */
#pragma once

#include "cli/findings.h"
#include "engine/check.h"
#include "sync/sets.h"

struct scrub {
    time_t began;
    uint64_t slices;            /* that are read */
    atomic_uint_fast64_t *ills; /* for each store of the roster, slices that were not read well */
    const struct roster *roster;
};

/*
 * Fills RET for a run over ROSTER: with all, or what is due of SET where OPTIONS say so.
 * Returns 0, or a negative errno after one line in the log. End it in any case.
 */
int scrub_begin(const struct options *options, struct sync_set *set, const struct roster *roster,
                struct scrub *ret);

/* As struct check_settings has them; any thread may call these. */
void scrub_consider(struct scrub *scrub, const char *path, const struct inspection *inspection);
void scrub_failed(struct scrub *scrub, const char *path);

/* Adds what a run has found, which came to its end, to what is remembered of SET. */
void scrub_note(const struct scrub *scrub, struct sync_set *set, const struct findings *findings);

void scrub_end(struct scrub *scrub);
