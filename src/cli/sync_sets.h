/* SPDX-License-Identifier: MIT */
/* Runs of sync. */
#pragma once

#include "cli/options.h"
#include "sync/sets.h"

/*
 * Brings those of SETS up to date that OPTIONS name; in a dry run, asks their nodes and tells what
 * would be done. Those without a source are passed over. *RET_COUNT is how many sets these were.
 * Called while there is but one thread.
 */
enum exit_status sync_sets(const struct options *options, struct sets *sets, int *ret_count);
