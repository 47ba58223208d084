/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

/* How to remove. */
struct removal_terms {
    bool dry_run; /* remove nothing, and call REMOVED for what would be */
    /* NULL, or called for each name that was removed, what is in a directory before it. */
    void (*removed)(void *context, const char *path);
    void *context;
    bool made_here; /* by this process, and so removed even where it was claimed */
};

/*
 * Removes NAME in DIRECTORY, a directory with its contents; follows no symlink. PATH is its name in
 * reports. Returns 0, also if there is no such name, or a negative errno: -EBUSY where a directory
 * in it is one that this process has claimed (tree/whereabouts.h), which is logged and stays.
 */
int remove_all(int directory, const char *name, const char *path,
               const struct removal_terms *terms);

/* Removes all that is in the directory NAME, and leaves it; -ENOTDIR where it is none. */
int remove_contents(int directory, const char *name, const char *path,
                    const struct removal_terms *terms);
