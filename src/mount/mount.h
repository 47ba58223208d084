/* SPDX-License-Identifier: MIT */
/* Serves a view to the kernel, at a mountpoint, until it is unmounted or told to end. */
#pragma once

#include "view/view.h"

#include <stdbool.h>

struct mount_settings {
    const char *mountpoint;
    const char *source;  /* shown as the file system's source */
    const char *options; /* more mount options, "a,b=c", or NULL */
    bool foreground;     /* stay, and log to standard error */
    bool debug;          /* show every request; implies foreground */
    bool single;         /* serve one request at a time */
};

/*
 * Mounts, and returns in a process of its own (unless foreground: the caller's has exited with
 * status 0 by then) when the mount has ended: 0, or a negative errno, which has been logged.
 */
int mount_serve(struct view *view, const struct mount_settings *settings);

/* What fuse calls its version, for -V. */
const char *mount_library_version(void);
