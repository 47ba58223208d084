/* SPDX-License-Identifier: MIT */
/* What the kernel asks of a mounted view, answered from the view. */
#pragma once

#include <fuse_lowlevel.h>

enum {
    /* Bytes of the largest read that is asked for and answered. */
    REQUEST_SIZE_MAX = 1 << 20,
    /* Reads ahead that may be under way at once; when all of them are slow the others wait. */
    BACKGROUND_MAX = 64,
    /* Threads, made when they are needed: enough for all reads ahead and for what else is asked. */
    THREADS_MAX = 2 * BACKGROUND_MAX,
};

/* Their user data is a struct mounted. */
extern const struct fuse_lowlevel_ops mount_operations;
