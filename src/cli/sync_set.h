/* SPDX-License-Identifier: MIT */
#pragma once

#include "cli/exit_status.h"
#include "cli/options.h"
#include "sync/sets.h"

/*
 * Brings the nodes of SET up to date; SIGNALS is a descriptor from which the user's signals are
 * read. *STOPPED is set where one of them wanted the end. Called while there is but one thread.
 */
enum exit_status sync_set(const struct options *options, struct set *set, int signals,
                          bool *stopped);
