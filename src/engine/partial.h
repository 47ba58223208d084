/* SPDX-License-Identifier: MIT */
/* The names of what decode --salvage could read of a file: NAME.partial, NAME.partial.2, ... */
#pragma once

#include "engine/copy_settings.h"

enum { PARTIAL_MAX = 100 /* such names of one file */ };

/*
 * Returns PATH with ".partial", or ".partial.2", ...; the caller frees it. NULL without memory.
 * Where that name would be too long, its end is replaced by a hash of the whole name, so that two
 * long names stay different.
 */
char *partial_path(const char *path, unsigned number);

/*
 * Finds the file of which NAME, in the directory DIRECTORY of TARGET, is a salvaged part by its
 * name, if the source has that file, or may have it. NAMES are the source's there, sorted. *RET is
 * the path, which the caller frees; NULL: there is none. Returns 0 or -ENOMEM.
 */
int partial_find_whole(const struct copy_settings *settings, const struct target *target,
                       const char *directory, const char *name, const struct names *names,
                       char **ret);
