/* SPDX-License-Identifier: MIT */
/*
 * Names that tools and systems leave in a store and that are, most likely, of no file of the source
 * (rule 3 of docs/design.md). One of these is believed only where its content is complete.
 */
#pragma once

#include <stdbool.h>

/* What the names of our own unfinished files begin with; see tree/temporary.h. */
#define LEFTOVER_PREFIX ".zfec-fs-new-"

/* What unfinished files of sync's rclone end with; it takes 16 bytes at most. */
#define LEFTOVER_SUFFIX ".zfec-fs-partial"

/* What sync leaves in the root of each node, and nowhere else: see sync/description.h. */
#define DESCRIPTION_NAME "zfec-fs-set.ini"

/* The same beside sealed shares, where no file of the tree is called so; in others one may be. */
#define SEALED_DESCRIPTION_NAME "zset"

/* Returns true if PATH is that of a description: a leftover that is not reported. */
bool leftover_is_description(const char *path);

/* Returns true if NAME, one part of a path, is a usual leftover's. */
bool leftover_is_name(const char *name);

/* The same of the last part of PATH, or if an earlier one is a leftover directory's; or if it is
 * the description's. */
bool leftover_is_path(const char *path);

/*
 * Returns true if NAME looks like a temporary file of rsync's: ".NAME.XXXXXX" with six random
 * letters and digits (receiver.c). What looks like a word, as in .bashrc.backup, is a user's file;
 * one of 40 random ones does.
 */
bool leftover_is_of_rsync(const char *name);

/* Returns true if NAME is a leftover directory's, which is shown only if a file in it is complete.
 */
bool leftover_is_directory(const char *name);

/* Returns true if no directory of this NAME is a store. */
bool leftover_is_no_store(const char *name);
