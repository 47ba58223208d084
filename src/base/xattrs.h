/* SPDX-License-Identifier: MIT */
/*
 * The extended attributes of one object, access control lists among them: those that a copy of it
 * should have, too. For root these are all but the file system's own, for others those of users.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xattrs {
    char *bytes; /* in the names' order: the name with its NUL, the value's size, the value */
    size_t size;
    bool impossible; /* the file system keeps none */
};

/* One of them, as it lies in the bytes. */
struct xattr {
    const char *name;
    uint32_t size;
    const char *value;
};

#define NO_XATTRS ((struct xattrs){0})

/*
 * Those of what PATH leads to; a link of /proc/self/fd leads to a symlink itself. Where there are
 * none, or can be none: 0 and none. NAME: only this one; NULL: all. Clear RET in any case.
 */
int xattrs_read_path(const char *path, const char *name, struct xattrs *ret);

/* The same for what FD is open for; most files have none, and that is quick to see so. */
int xattrs_read_open(int fd, const char *name, struct xattrs *ret);

/* Goes to the next one; AT is the bytes at first. False behind the last. */
bool xattrs_next(const struct xattrs *xattrs, const char **at, struct xattr *ret);

/* The one with this name; false where there is none. */
bool xattrs_find(const struct xattrs *xattrs, const char *name, struct xattr *ret);

/* Adds one, whose name comes behind all others. Returns 0 or -ENOMEM. */
int xattrs_add(struct xattrs *xattrs, const char *name, const char *value, size_t size);

bool xattrs_are_equal(const struct xattrs *a, const struct xattrs *b);

/*
 * Gives what PATH leads to these, of which it has OLD until now, and no others. Tries all of them,
 * and returns 0 or why the first failed.
 */
int xattrs_write_path(const char *path, const struct xattrs *old, const struct xattrs *new);

void xattrs_clear(struct xattrs *xattrs);
