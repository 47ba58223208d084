/* SPDX-License-Identifier: MIT */
/* A private folder of a run, which the next one clears if this run is killed. */
#pragma once

#include <stdbool.h>

struct locked_folder {
    char *path; /* NULL: there is none */
    int lock;   /* while somebody has it, it is in use */
};

#define NO_FOLDER ((struct locked_folder){.lock = -1})

/*
 * Makes one, LARGE for what may be, and removes those of its kind that runs have left which were
 * killed. Returns 0 or a negative errno after one line in the log.
 */
int locked_folder_make(bool large, struct locked_folder *ret);

/* Removes all that runs have left which were killed. */
void locked_folders_sweep(void);

/* Removes it, if there is one, and what is in it. */
void locked_folder_remove(struct locked_folder *folder);
