/* SPDX-License-Identifier: MIT */
/* Tells a set's on_problem when something becomes worse, and once when all is good again. */
#pragma once

#include "cli/options.h"
#include "sync/sets.h"

/*
 * To be called at the end of a run of sync or check, which ends with STATUS. Reads what is known of
 * SET anew, and remembers the status and what was told. Returns 0, or a negative errno after one
 * line in the log: then the next run tells it again.
 */
int alarm_raise(const struct options *options, struct sync_set *set, enum exit_status status);
