/* SPDX-License-Identifier: MIT */
/*
 * What the kernel has open: files of the view, and listings of directories. The kernel does not
 * always release what it has opened, so that they are kept here and can be closed at the end.
 * Any thread may use them.
 */
#pragma once

#include "mount/interest.h"
#include "view/view.h"

#include <pthread.h>
#include <stdatomic.h>

struct handle {
    struct handle *previous, *next;
    struct view_file *file; /* NULL for a listing */
    struct names names;     /* of a directory, as they were when it was opened */
    enum detail detail;     /* of its listing */
    bool entered;           /* the file is open by its node */
    bool counted;           /* nodes_open was called for it */
    bool has_pages;         /* the file shares those of its node */
    atomic_bool read;       /* it was, once */
};

struct handles {
    pthread_mutex_t lock;
    struct handle *first;
};

void handles_init(struct handles *handles);

/* A new handle with nothing in it, or NULL. */
struct handle *handle_new(struct handles *handles);

/* Closes what is in it. */
void handle_close(struct handles *handles, struct handle *handle);

/* Closes all; no request may be under way. */
void handles_clear(struct handles *handles);
