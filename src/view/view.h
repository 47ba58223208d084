/* SPDX-License-Identifier: MIT */
/*
 * The views: read-only trees that are computed from a source. The mount uses only this interface.
 *
 * The restored view is the source's tree. The encoded view has a directory for each share, "00",
 * "01", ... in two lower-case hex digits; each shows the source's tree with every regular file
 * replaced by its share. Over stores instead of a source tree it is the rebuilt view: the same
 * shares again, including lost ones.
 *
 * Paths are relative to the view's root, without a leading slash; "" is the root. Functions return
 * 0 or a negative errno, and set results only on success. Any thread may use a view and its open
 * files.
 */
#pragma once

#include "view/source.h"
#include "view/view_file.h"

struct view {
    struct source *source;
    unsigned shares; /* of the encoded view; 0: the restored view */
    bool for_others; /* other users than that of this process may look */
};

/*
 * Makes the encoded view of 1..256 SHARES, or the restored one (0). Takes the source over (also if
 * it fails). FOR_OTHERS: the root is closed to others if the way to the source is.
 */
int view_new(struct source *source, unsigned shares, bool for_others, struct view **ret);

void view_free(struct view *view);

/* Returns the status of the object itself, even of a symlink; st_dev means nothing. */
int view_stat(struct view *view, const char *path, struct stat *ret);

/* The caller frees the target. */
int view_read_link(struct view *view, const char *path, char **ret);

/* Adds the names in a directory to NAMES, with kinds and inode numbers if known. */
int view_list(struct view *view, const char *path, struct names *names);

/* Like lgetxattr(2) and llistxattr(2); with SIZE 0, *RET is the number of bytes needed. */
int view_get_xattr(struct view *view, const char *path, const char *name, void *value, size_t size,
                   size_t *ret);
int view_list_xattr(struct view *view, const char *path, char *names, size_t size, size_t *ret);

int view_statfs(struct view *view, struct statvfs *ret);

int view_open(struct view *view, const char *path, struct view_file **ret);

DEFINE_CLEANUP(struct view *, view_free)
#define cleanup_view CLEANUP(cleanup_by_view_free)
