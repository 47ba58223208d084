/* SPDX-License-Identifier: MIT */
/* Runs of sync. */
#pragma once

#include "cli/options.h"
#include "sync/sets.h"

/*
 * Updates the sets of SETS that OPTIONS name; a dry run asks their nodes and says what would be
 * done. Skips those without a source. *RET_COUNT is how many were run. Call it while there is only
 * one thread.
 */
enum exit_status sync_sets(const struct options *options, struct sets *sets, int *ret_count);
