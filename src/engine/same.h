/* SPDX-License-Identifier: MIT */
#pragma once

#include "engine/progress.h"
#include "view/source.h"

/*
 * Whether two open files of one layout have the same content: 1, 0, or the source's error;
 * -ECANCELED where PROGRESS says that it should stop.
 */
int same_content(struct source_file *a, struct source_file *b, const struct progress *progress);
