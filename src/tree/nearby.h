/* SPDX-License-Identifier: MIT */
/*
 * Directories that a thread is busy in. Who looks at many names of one directory says so, and the
 * way there is gone but once; a name in it then costs one system call instead of three. That the
 * directory is renamed meanwhile is not seen, as it would not be by who reads it in one go. Part
 * of tree.c.
 */
#pragma once

#include "tree/walk.h"

#include <stdint.h>

/*
 * Between the two, this thread goes to the directory of the names that it asks for but once, also
 * if it is renamed meanwhile. For what is one question to who asks it, about many names.
 */
void nearby_begin(void);
void nearby_end(void);

struct nearby {
    uint64_t tree;  /* whose directory it is */
    uint64_t mount; /* the number of the mount that it lies on: the tree's own */
    char *path;
    int fd; /* O_PATH */
};

/*
 * The directory of PATH, and its name in there; NULL where the thread is not busy, or where PATH is
 * to be walked to for another reason. TREE is a number of its own, ROOT its directory. Valid until
 * the next call.
 */
const struct nearby *nearby_find(uint64_t tree, int root, const char *path, const char **ret_name);
