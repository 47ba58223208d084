/* SPDX-License-Identifier: MIT */
/* What the table of mounts, and the kernel's memory, say of a file system, which is not asked. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Returns true if others than this kernel and its disks answer for it: a network, or a FUSE server.
 */
bool mounts_is_remote(dev_t device);

/*
 * Returns true if nothing in it is anyone's data: proc, sysfs and the like, which the kernel makes
 * up while they are read.
 */
bool mounts_is_pseudo(dev_t device);

/* Returns true if it is DEVICE that is mounted where the absolute PATH, without symlinks, leads. */
bool mounts_is_at(dev_t device, const char *path);

/*
 * Sets *RET to whether PATH is closed to others than its user: by the mode of a directory on the
 * way to it, or by a FUSE server that answers that user alone. What PATH itself allows does not
 * count. Returns 0 or a negative errno.
 */
int mounts_closed_way(const char *path, bool *ret);
/* Returns true if zfec-fs has mounted something at the absolute PATH, without symlinks. */
bool mounts_are_ours(const char *path);
