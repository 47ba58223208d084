/* SPDX-License-Identifier: MIT */
/* How much of what targets hold their source lacks: what a run that removes would take away. */
#pragma once

#include "engine/copy_settings.h"

struct lacking {
    uint64_t names;   /* that the target holds, directories as well */
    uint64_t lacking; /* of these, the ones that the source has not, and that are not kept */
};

/*
 * Counts that for each of COUNT targets. What cannot be listed is not counted: nothing is removed
 * from it either. Returns 0 or a negative errno of its own.
 */
int lacking_count(struct source *source, const struct target targets[], size_t count,
                  const struct copy_settings *settings, struct progress *progress,
                  struct lacking ret[]);
