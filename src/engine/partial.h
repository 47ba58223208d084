/* SPDX-License-Identifier: MIT */
/* The names of what decode --salvage could read of a file: NAME.partial, NAME.partial.2, ... */
#pragma once

#include "engine/copy_settings.h"

enum { PARTIAL_MAX = 100 /* such names of one file */ };

/*
 * PATH with ".partial", or ".partial.2", ...; the caller frees it. NULL without memory. Where that
 * name would be too long, its end gives way to a hash of all of it, by which two names that are cut
 * alike are told apart.
 */
char *partial_path(const char *path, unsigned number);

/*
 * Finds the file that NAME, in the directory DIRECTORY of TARGET, is a part of by its name, if the
 * source has that, or may have it: the source's NAMES there are sorted. *RET is its path, which the
 * caller frees; NULL: there is none. Returns 0 or -ENOMEM.
 */
int partial_find_whole(const struct copy_settings *settings, const struct target *target,
                       const char *directory, const char *name, const struct names *names,
                       char **ret);
