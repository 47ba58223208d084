/* SPDX-License-Identifier: MIT */
/* Chooses what check reads of a set's nodes, and stores how they were found. */
#pragma once

#include "cli/findings.h"
#include "engine/check.h"
#include "sync/sets.h"

struct scrub {
    time_t began;
    uint64_t slices;            /* the slices that are read */
    atomic_uint_fast64_t *ills; /* for each store of the roster, slices with something bad */
    const struct roster *roster;
};

/*
 * Fills RET for a run over ROSTER: with all slices, or those of SET that are due if OPTIONS say so.
 * Returns 0, or a negative errno after one line in the log. End it in any case.
 */
int scrub_begin(const struct options *options, struct sync_set *set, const struct roster *roster,
                struct scrub *ret);

/* For struct check_settings; any thread may call these. */
void scrub_consider(struct scrub *scrub, const char *path, const struct inspection *inspection);
void scrub_failed(struct scrub *scrub, const char *path);

/* Adds what a completed run has found to what is remembered of SET. */
void scrub_note(const struct scrub *scrub, struct sync_set *set, const struct findings *findings);

void scrub_end(struct scrub *scrub);
