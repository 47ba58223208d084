/* SPDX-License-Identifier: MIT */
/* Serves a view to the kernel, at a mountpoint, until it is unmounted or told to end. */
#pragma once

#include "mount/settings.h"
#include "view/view.h"

/* Mounts, and returns when the mount has ended: 0, or a negative errno, which has been logged. */
int mount_serve(struct view *view, const struct mount_settings *settings);

/* What fuse calls its version, for -V. */
const char *mount_library_version(void);
