/* SPDX-License-Identifier: MIT */
/*
 * What the table of mounts, and the kernel's memory, say of a file system, which is not asked. Each
 * function returns 1 for yes, 0 for no, and a shortage of our own (base/shortage.h) where the table
 * could not be read.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Whether others than this kernel and its disks answer for it: a network, or a FUSE server. */
int mounts_is_remote(dev_t device);

/* Whether `rclone mount` answers for it. */
int mounts_is_of_rclone(dev_t device);

/*
 * Whether nothing in it is anyone's data: proc, sysfs and the like, which the kernel makes up while
 * they are read.
 */
int mounts_is_pseudo(dev_t device);

/* Whether it is DEVICE that is mounted where the absolute PATH, without symlinks, leads. */
int mounts_is_at(dev_t device, const char *path);

/* Whether zfec-fs has mounted something at the absolute PATH, without symlinks. */
int mounts_are_ours(const char *path);

/*
 * Sets *RET to whether PATH is closed to others than its user: by the mode of a directory on the
 * way to it, or by a FUSE server that answers that user alone. What PATH itself allows does not
 * count. Returns 0 or a negative errno.
 */
int mounts_closed_way(const char *path, bool *ret);
