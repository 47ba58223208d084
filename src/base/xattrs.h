/* SPDX-License-Identifier: MIT */
/*
 * The extended attributes of one object, access control lists among them: those that a copy of it
 * should have, too. For root these are all but the file system's own, for others those of users.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

struct xattrs {
    char *bytes; /* in the names' order: the name with its NUL, the value's size, the value */
    size_t size;
};

#define NO_XATTRS ((struct xattrs){0})

/*
 * The value of NAME, or (NULL) all names with a NUL behind each, to bytes that the caller frees;
 * one NUL more comes behind them. As getxattr(2) and listxattr(2): -ENODATA, -ENOTSUP, ...
 */
int xattrs_read_bytes(const char *path, const char *name, char **ret, size_t *ret_size);

/*
 * Those of what PATH leads to; a link of /proc/self/fd leads to a symlink itself. Where there are
 * none, or can be none: 0 and none. Clear RET in any case.
 */
int xattrs_read_path(const char *path, struct xattrs *ret);

/* The same for what FD is open for; most files have none, and that is quick to see so. */
int xattrs_read_open(int fd, struct xattrs *ret);

/* Returns 0 or -ENOMEM. Clear RET in any case. */
int xattrs_copy(const struct xattrs *xattrs, struct xattrs *ret);

bool xattrs_are_equal(const struct xattrs *a, const struct xattrs *b);

/* Gives what PATH leads to these, of which it has OLD until now, and no others. */
int xattrs_write_path(const char *path, const struct xattrs *old, const struct xattrs *new);

void xattrs_clear(struct xattrs *xattrs);
