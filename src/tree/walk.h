/* SPDX-License-Identifier: MIT */
/* From a directory to a path beneath it, without ever leaving it. Part of tree.c. */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <sys/types.h>

/* Where a path leads. */
struct place {
    int fd;      /* O_PATH; -1: on the file system that walk_avoid names */
    bool closed; /* the root of another file system, which is not entered */
};

#define NO_PLACE ((struct place){.fd = -1})

static inline void place_clear(struct place *place)
{
    cleanup_close_fd(&place->fd);
}

#define cleanup_place CLEANUP(place_clear)

/* The file systems that are entered besides the root's. */
enum walk_reach {
    WALK_ANYWHERE,
    WALK_NO_PSEUDO, /* but for those that hold no one's data */
    WALK_NOWHERE,   /* none */
};

/*
 * Goes to PATH beneath the directory ROOT. No symlink is followed; one at the path's end is the
 * place itself. "" is ROOT. -ENOENT, also for what lies beyond a closed place; -ENOTDIR where
 * something on the way is no directory, a symlink for example; -EXDEV for ".."; ...
 */
int walk_beneath(int root, const char *path, enum walk_reach reach, struct place *ret);

/*
 * Opens PATH beneath ROOT for reading, by open(2)'s FLAGS, if it lies on ROOT's own mount. No
 * symlink is followed, and a FIFO is not waited for. Returns the descriptor or a negative errno;
 * what cannot be opened in this way may be by walk_beneath.
 */
int walk_open(int root, const char *path, int flags);

void walk_avoid(dev_t device);

/* Sets *RET to whether FD is on that file system, which is not asked. Returns 0 or a negative
 * errno. */
int walk_is_avoided(int fd, bool *ret);
