/* SPDX-License-Identifier: MIT */
/* A private folder of a run. If the run is killed, the next one removes it. */
#pragma once

#include <stdbool.h>

struct locked_folder {
    char *path; /* NULL: there is none */
    int lock;   /* while someone holds it, the folder is in use */
};

#define NO_FOLDER ((struct locked_folder){.lock = -1})

/*
 * Makes a folder, LARGE for large files, and removes folders of that kind left by killed runs.
 * Returns 0 or a negative errno after one line in the log.
 */
int locked_folder_make(bool large, struct locked_folder *ret);

/* Removes all folders left by killed runs. */
void locked_folders_sweep(void);

/* Removes the folder, if there is one, with everything in it. */
void locked_folder_remove(struct locked_folder *folder);
