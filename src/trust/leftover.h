/* SPDX-License-Identifier: MIT */
/*
 * Names that tools and systems leave in a store and that are, most likely, of no file of the source
 * (rule 3 of docs/design.md). One of these is believed only where its content is complete.
 */
#pragma once

#include <stdbool.h>

/* What the names of our own unfinished files begin with; see tree/temporary.h. */
#define LEFTOVER_PREFIX ".zfec-fs-new-"

/* Returns true if NAME, one part of a path, is a usual leftover's. */
bool leftover_is_name(const char *name);

/* Returns true if the last part of PATH is, or a directory on the way holds leftovers. */
bool leftover_is_path(const char *path);

/* Returns true if a directory of this NAME holds leftovers: unlike others, votes alone do not show
 * it. */
bool leftover_is_directory(const char *name);

/* Returns true if no directory of this NAME is a store. */
bool leftover_is_no_store(const char *name);
