/* SPDX-License-Identifier: MIT */
/* Counts before a run. What cannot be looked at is not counted. */
#pragma once

#include "engine/copy.h"

/*
 * Counts the files of a source and their bytes for estimates of time: all_files and all_bytes of
 * PROGRESS.
 */
void count_run(struct source *source, unsigned jobs, struct progress *progress);

/* How much of a target a run that removes would take away: what the source lacks. */
struct lacking {
    atomic_uint_fast64_t names;   /* that the target holds, directories as well */
    atomic_uint_fast64_t lacking; /* of these, those that the source lacks and that are not kept */
};

/* Adds to the counts of each of COUNT targets. Returns 0 or a negative errno. */
int lacking_count(struct source *source, const struct target targets[], size_t count,
                  const struct copy_settings *settings, struct progress *progress,
                  struct lacking ret[]);
