/* SPDX-License-Identifier: MIT */
/* Who can get to a place in the file system. */
#pragma once

#include <stdbool.h>

/*
 * Sets *RET to whether PATH is closed to others than its user: by the mode of a directory on the
 * way to it, or by a FUSE server that answers that user alone. What PATH itself allows does not
 * count. Returns 0 or a negative errno.
 */
int way_is_closed(const char *path, bool *ret);
