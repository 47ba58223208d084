/* SPDX-License-Identifier: MIT */
/*
 * Rules that leave parts of a tree out, written and understood as in the .gitignore file at the
 * root of a git repository; see gitignore(5).
 *
 * Names are bytes, whatever the locale: '?' is one byte, [[:alpha:]] and the like are of ASCII
 * alone. Where git does not do what its documentation says, it is done as git does it:
 *   - [[:space:]] is space, tab, line feed and carriage return;
 *   - a pattern with a mistake in it (a '[' without its ']', an unknown class, a '\' at the end)
 *     silently excludes nothing;
 *   - '\' before the '/' at the end is such a mistake: the '/' is taken off first.
 * git before 2.52 takes the "**" in "name**" + "/more" for any number of directories; it is a "*".
 *
 * Rules are added by one thread. After that any thread may match, which allocates nothing. What a
 * rule costs is at most in proportion to the pattern's length times the path's, whatever they hold,
 * and as much again for each 512 directories on the path.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>

struct excludes;

/* No rules: nothing is excluded. Returns 0 or -ENOMEM. */
int excludes_new(struct excludes **ret);

/* NULL is nothing to free. */
void excludes_free(struct excludes *excludes);

/*
 * Adds the rule in LINE, which wins over those before it; a comment or an empty line adds none.
 * Returns 0 or -ENOMEM.
 */
int excludes_add(struct excludes *excludes, const char *line);

/*
 * Adds a rule for each line of the file PATH, all of them or none. Lines may end in CR LF, and
 * a UTF-8 byte order mark may stand before the first. Returns 0, -EINVAL for a file with a NUL in
 * it, which is no text, or the negative errno of opening or reading it.
 */
int excludes_add_file(struct excludes *excludes, const char *path);

/* Returns true if there are no rules. */
bool excludes_is_empty(const struct excludes *excludes);

/*
 * Returns true if PATH is excluded, or a directory above it is. PATH is relative to the root, of
 * any length, without slashes at its ends or empty names in it; IS_DIRECTORY says what it is
 * itself, and is false for a symlink to a directory. The root, "", is never excluded.
 */
bool excludes_match(const struct excludes *excludes, const char *path, bool is_directory);

/* The same for PATH alone, where no directory above it is excluded: what a walk downwards knows. */
bool excludes_match_entry(const struct excludes *excludes, const char *path, bool is_directory);

DEFINE_CLEANUP(struct excludes *, excludes_free)
#define cleanup_excludes CLEANUP(cleanup_by_excludes_free)
