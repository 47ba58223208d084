/* SPDX-License-Identifier: MIT */
#pragma once

#include "engine/visit.h"

/*
 * Counts the files and their bytes in a source, so that it can be said how long something takes:
 * all_files and all_bytes of PROGRESS. What cannot be looked at is not counted.
 */
void count_run(struct source *source, unsigned jobs, struct progress *progress);
