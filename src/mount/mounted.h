/* SPDX-License-Identifier: MIT */
/* What a mount's requests work on, and the operations that answer them. */
#pragma once

#include "mount/interest.h"
#include "mount/nodes.h"
#include "mount/settings.h"
#include "view/view.h"

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <sys/queue.h>

enum {
    /* Bytes of the largest read that is asked for and answered. */
    REQUEST_SIZE_MAX = 1 << 20,
    /* Reads ahead that may be under way at once; when all of them are slow the others wait. */
    BACKGROUND_MAX = 64,
    /* Threads, made when they are needed: enough for all reads ahead and for what else is asked. */
    THREADS_MAX = 2 * BACKGROUND_MAX,
};

/* What the kernel has open: a file of the view, or the listing of a directory. */
struct handle {
    LIST_ENTRY(handle) others;
    struct view_file *file; /* NULL for a listing */
    struct names names;     /* of a directory, as they were when it was opened */
    enum detail detail;     /* of its listing */
    enum node_pages pages;  /* of the file */
    atomic_bool read;       /* it was, once */
};

/* A session's user data. */
struct mounted {
    const struct mount_settings *settings;
    struct fuse_session *session;
    struct view *view;
    struct nodes *nodes;
    struct interest interest;
    pthread_mutex_t lock; /* of the handles: the kernel does not release all that it opens */
    LIST_HEAD(handle_list, handle) handles;
};

/* Closes what is in it. No request of it may be under way. */
void handle_free(struct mounted *mounted, struct handle *handle);

/* Their user data is a struct mounted. Any thread may call them. */
extern const struct fuse_lowlevel_ops mount_operations;
