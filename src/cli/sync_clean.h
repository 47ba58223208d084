/* SPDX-License-Identifier: MIT */
#pragma once

#include "cli/syncing.h"

/*
 * Removes what stopped runs have left at those nodes that NODES, their updates, have brought up to
 * date. Where that fails, the log says so, and the next run tries again. Returns 0 or a negative
 * errno.
 */
int sync_clean(struct syncing *syncing, const struct node_run *nodes);
