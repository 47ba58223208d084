/* SPDX-License-Identifier: MIT */
/* What the kernel asks of a mounted view, answered from the view. */
#pragma once

#include "mount/handles.h"
#include "mount/interest.h"
#include "mount/nodes.h"
#include "view/view.h"

#include <fuse_lowlevel.h>

/* What a session's requests work on; the session's user data. */
struct mounted {
    struct fuse_session *session;
    struct view *view;
    struct nodes *nodes;
    struct handles handles;
    struct interest interest;
    bool permissions_checked; /* by the kernel */
    bool pages_avoided;       /* no file has any in the kernel, but what is mapped */
    double attribute_timeout; /* in seconds; below 0: as fits the view */
};

enum {
    /* Bytes of the largest read that is asked for and answered. */
    REQUEST_SIZE_MAX = 1 << 20,
    /* Reads ahead that may be under way at once; when all of them are slow the others wait. */
    BACKGROUND_MAX = 64,
    /* Threads, made when they are needed: enough for all reads ahead and for what else is asked. */
    THREADS_MAX = 2 * BACKGROUND_MAX,
};

const struct fuse_lowlevel_ops *mount_operations(void);
