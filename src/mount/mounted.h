/* SPDX-License-Identifier: MIT */
/*
 * What a mount's requests work on, and what the kernel is told of names and nodes, and for how long
 * it may keep that. Any thread may call it.
 */
#pragma once

#include "mount/interest.h"
#include "mount/nodes.h"
#include "view/view.h"

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <sys/queue.h>

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
    struct fuse_session *session;
    struct view *view;
    struct nodes *nodes;
    struct interest interest;
    pthread_mutex_t lock; /* of the handles: the kernel does not release all that it opens */
    LIST_HEAD(handle_list, handle) handles;
    bool permissions_checked; /* by the kernel */
    bool pages_avoided;       /* no file has any in the kernel, but what is mapped */
    double attribute_timeout; /* in seconds; below 0: as fits the view */
};

/* Returns a new handle with nothing in it, or NULL. */
struct handle *handle_new(struct mounted *mounted);

/* Closes what is in it. No request of it may be under way. */
void handle_free(struct mounted *mounted, struct handle *handle);

/* Returns true if the answers of the view take long. */
bool mounted_is_slow(const struct mounted *mounted);

/* Returns for how many seconds the kernel may keep attributes; of the root, perhaps not as long. */
double mounted_kept_s(const struct mounted *mounted);
double mounted_root_kept_s(const struct mounted *mounted);

/* Reads the status of NODE, or of NAME in it where NAME is not NULL. */
int mounted_stat(struct mounted *mounted, uint64_t node, const char *name, struct stat *ret);

/* Fills the entry of NAME in PARENT and counts it as looked up. */
int mounted_look_up(struct mounted *mounted, uint64_t parent, const char *name,
                    struct fuse_entry_param *ret);
