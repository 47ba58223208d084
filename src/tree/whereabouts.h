/* SPDX-License-Identifier: MIT */
/* Where a place really is: two paths can lead to one directory, by a mount of it somewhere else. */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <sys/stat.h>

struct directory_id {
    dev_t device;
    ino_t inode;
};

/* By what the kernel remembers; no file system is asked. Returns 0 or a negative errno. */
int directory_identify(int fd, struct directory_id *ret);

bool directory_is_same(const struct directory_id *a, const struct directory_id *b);

struct whereabouts {
    char *path;
    const char *rest;           /* the end of the path that does not exist */
    struct directory_id *items; /* what exists of it, and its parents, up to the root */
    size_t count;
};

/* Of the absolute PATH without symlinks, which need not exist. Clear RET in any case. */
int whereabouts_find(const char *path, struct whereabouts *ret);

void whereabouts_clear(struct whereabouts *place);

#define cleanup_whereabouts CLEANUP(whereabouts_clear)

/* Where PLACE is FOLDER, or lies in it: the end of PLACE's path that is beneath FOLDER, "" where
 * they are the same. Else NULL, also where one of them is empty. */
const char *whereabouts_within(const struct whereabouts *place, const struct whereabouts *folder);

/* The same of paths, as they are written. */
const char *whereabouts_beneath(const char *path, const char *folder);

/* Returns true if what exists of both is known to be on two devices. */
bool whereabouts_differ_in_device(const struct whereabouts *one, const struct whereabouts *other);

/*
 * Directories that this process reads or writes as a whole may lie in what it walks through, by a
 * mount inside. To be called before threads are started; no PLACE that does not exist.
 */
enum whereabouts_use {
    WHEREABOUTS_READ = 1, /* nothing in it is removed from outside */
    WHEREABOUTS_WRITTEN,  /* nor is it a part of the source */
};
int whereabouts_claim(const char *path, enum whereabouts_use use);

/* Whether STATUS is of a directory that was claimed for USE, or more. */
bool whereabouts_is_claimed(const struct stat *status, enum whereabouts_use use);
