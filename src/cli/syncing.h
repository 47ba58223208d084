/* SPDX-License-Identifier: MIT */
/* One run of one set, in several steps: each has some of the nodes do one task. */
#pragma once

#include "cli/exit_status.h"
#include "cli/work.h"
#include "sync/sets.h"

/*
 * Brings the nodes of SET up to date; SIGNALS is a descriptor from which the user's signals are
 * read. *STOPPED is set where one of them wanted the end. Called while there is but one thread.
 */
enum exit_status sync_set(const struct work *work, struct set *set, int signals, bool *stopped);
