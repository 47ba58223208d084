/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

/* How a view is mounted: see mount.h. */
struct mount_settings {
    const char *mountpoint;
    const char *source;       /* shown as the file system's source */
    const char *options;      /* more mount options, "a,b=c", or NULL */
    double attribute_timeout; /* seconds that attributes are kept; below 0: as fits the view */
    bool permissions_checked; /* the kernel checks modes: also access control lists, then */
    bool pages_avoided;       /* no file has any in the kernel, but what is mapped */
    bool io_uring;            /* take requests by io_uring, where libfuse and kernel can */
    bool debug;               /* show every request */
    bool single;              /* serve one request at a time */
    int (*ready)(void);       /* called when the mount is there; an error ends it */
    atomic_bool *stop;        /* set by a signal that ends it; NULL: none is */
};
