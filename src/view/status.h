/* SPDX-License-Identifier: MIT */
/* Converts the status of an object in a tree to its status in a view. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/*
 * Returns an inode number for object (DEVICE, NUMBER) in tree number TREE of a view: the same in
 * every mount, and unique within a view (certainly among objects of one device; among several as
 * surely as 64 bits allow).
 */
uint64_t status_inode(dev_t device, ino_t number, unsigned tree);

/* Sets the size in a regular file's status, and the number of blocks to match. */
void status_set_size(struct stat *status, uint64_t size);

/*
 * Returns a number for the content that a status describes: its kind, and for a regular file also
 * its identity, size and times.
 */
uint64_t status_version(const struct stat *status);

/* Returns true if the directory OWN denies someone names or files in it that SHOWN does not. */
bool status_keeps_out(const struct stat *own, const struct stat *shown);

/*
 * Returns true if any further change of a file will show in its times: a file that changed just now
 * may change again and keep them.
 */
bool status_is_settled(const struct stat *status);

/* Returns true if two versions are of one kind: files, directories, symlinks, ... */
bool status_same_kind(uint64_t version, uint64_t other);
