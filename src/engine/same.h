/* SPDX-License-Identifier: MIT */
#pragma once

#include "engine/progress.h"
#include "view/source.h"

/*
 * Returns 1 if two open files of one layout have the same content, 0 if not, the source's error, or
 * -ECANCELED if PROGRESS says to stop.
 */
int same_content(struct source_file *a, struct source_file *b, const struct progress *progress);
