/* SPDX-License-Identifier: MIT */
/* What the table of mounts says of a file system, without asking the file system. */
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

/* Returns true if zfec-fs has mounted something at the absolute PATH, without symlinks. */
bool mounts_are_ours(const char *path);

/* Returns true if the absolute PATH, without symlinks, leads through a FUSE server that answers no
 * one but its user. */
bool mounts_are_private(const char *path);
