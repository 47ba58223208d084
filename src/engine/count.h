/* SPDX-License-Identifier: MIT */
/* What is counted before a run. What cannot be looked at is not counted. */
#pragma once

#include "engine/copy.h"

/*
 * Counts the files and their bytes in a source, so that it can be said how long something takes:
 * all_files and all_bytes of PROGRESS.
 */
void count_run(struct source *source, unsigned jobs, struct progress *progress);

/* How much of what a target holds its source lacks: what a run that removes would take away. */
struct lacking {
    atomic_uint_fast64_t names;   /* that the target holds, directories as well */
    atomic_uint_fast64_t lacking; /* of these, the ones that the source has not, and not kept */
};

/* Adds to that of each of COUNT targets. Returns 0 or a negative errno of its own. */
int lacking_count(struct source *source, const struct target targets[], size_t count,
                  const struct copy_settings *settings, struct progress *progress,
                  struct lacking ret[]);
