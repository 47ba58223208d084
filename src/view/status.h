/* SPDX-License-Identifier: MIT */
/* Converts the status that a tree gives to the one that a view shows. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/*
 * An inode number for object (DEVICE, NUMBER) as tree number TREE of a view shows it: the same in
 * every mount, and different within a view (among objects of one device for certain, among
 * several as surely as 64 bits are).
 */
uint64_t status_inode(dev_t device, ino_t number, unsigned tree);

/* Gives a regular file's status another size, and the blocks that go with it. */
void status_set_size(struct stat *status, uint64_t size);

/*
 * Stands for what a status says of an object's content: its kind alone, but for a regular file also
 * which file it is, its size and its times.
 */
uint64_t status_version(const struct stat *status);

/* Returns true if the directory OWN keeps someone from names or files in it whom SHOWN does not. */
bool status_keeps_out(const struct stat *own, const struct stat *shown);

/*
 * Returns true if the next change of a file will be seen in its times: one that changed just now
 * may change once more and keep them.
 */
bool status_is_settled(const struct stat *status);

/* Returns true if two versions are of one kind: files, directories, symlinks, ... */
bool status_same_kind(uint64_t version, uint64_t other);
