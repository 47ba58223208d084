/* SPDX-License-Identifier: MIT */
/* Writes what is known of sets in the text format of Prometheus, for a node exporter's
 * directory. */
#pragma once

#include "cli/options.h"
#include "sync/sets.h"

/*
 * Writes the file of --metrics, if that was given: of all SETS, even those not named, so that runs
 * of several sets may share one file. Reads the state anew. Returns 0, or a negative errno after
 * one line in the log.
 */
int metrics_write(const struct options *options, struct sets *sets);
