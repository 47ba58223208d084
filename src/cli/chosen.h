/* SPDX-License-Identifier: MIT */
/* The sets that a command line names. */
#pragma once

#include "cli/options.h"
#include "sync/sets.h"

/*
 * Reads the file of sets that OPTIONS name, and refuses words that are no set in it. Returns
 * EXIT_STATUS_OK, or another status after one line in the log. Clear RET in any case.
 */
enum exit_status chosen_read(const struct options *options, struct sets *ret);

/* Returns true if SET is named, as SET or SET:, or if no set is named. */
bool chosen_has(const struct options *options, const struct sync_set *set);
