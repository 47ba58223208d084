/* SPDX-License-Identifier: MIT */
/* Chooses some files of a share, for comparisons. */
#pragma once

#include "base/names.h"

#include <time.h>

enum sample_kinds {
    SAMPLE_FILES = 1,
    SAMPLE_SYMLINKS = 2,
};

/*
 * Writes a random PART (0..1) of the files, symlinks or both (KINDS) beneath FOLDER that have not
 * changed since BEFORE to the file LIST: their paths, relative to FOLDER, each with END behind it;
 * at least one if there are any. *RET_COUNT is their number. Returns 0 or a negative errno after
 * one line in the log.
 */
int sample_write(const char *folder, unsigned kinds, double part, time_t before, const char *list,
                 char end, uint64_t *ret_count);

/*
 * Writes such a list by which to recognize a share: the first small files, or else the smallest
 * file, and the small ones that changed last (by ctime), which the last run may have sent to
 * another disk. *RET_FILES and *RET_BYTES are the number of all files, and the sum of their sizes;
 * hard links to one count once. Of SEALED shares, only files of the source count.
 */
int sample_write_few(const char *folder, bool sealed, const char *list, char end,
                     uint64_t *ret_files, uint64_t *ret_bytes);

/*
 * Writes those of the list FROM, with a NUL behind each, that are beneath FOLDER and have not
 * changed since BEFORE, to such a LIST. Returns 1 where there are any, 0, or a negative errno after
 * one line in the log.
 */
int sample_write_known(const char *from, const char *folder, time_t before, const char *list,
                       char end);

/* Writes PATHS as such a list. Returns 0 or a negative errno after one line in the log. */
int sample_write_paths(const struct names *paths, const char *list, char end);
