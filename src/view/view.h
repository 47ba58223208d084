/* SPDX-License-Identifier: MIT */
/*
 * A read-only tree that is computed from other trees. The mount, and every other reader, knows
 * views by this interface only.
 *
 * Paths are relative to the view's root, without a leading slash; "" is the root. Functions
 * return 0 or a negative errno, and results only on success. Any thread may use a view and its
 * open files.
 */
#pragma once

#include "base/names.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

struct view {
    const struct view_operations *operations;
    bool live; /* what it shows changes at once with what it is made from */
    /* True if answers may take long, so that many things are to be asked at once. NULL: never. */
    const atomic_bool *distant;
};

/* An open file. */
struct view_file {
    const struct view_operations *operations;
    struct stat status; /* when it was opened: that of the version which is read */
    /* Open files of one path with one number give the same bytes. 0: nothing is known of that. */
    uint64_t content;
};

struct view_operations {
    void (*free)(struct view *view);

    /* Of the object itself, also of a symlink; st_dev means nothing. */
    int (*stat)(struct view *view, const char *path, struct stat *ret);

    /* The caller frees the target. */
    int (*read_link)(struct view *view, const char *path, char **ret);

    /* Adds the names in a directory to NAMES, with kinds and inode numbers where they are known. */
    int (*list)(struct view *view, const char *path, struct names *names);

    /* As lgetxattr(2) and llistxattr(2); with SIZE 0, *RET says how many bytes there are. */
    int (*get_xattr)(struct view *view, const char *path, const char *name, void *value,
                     size_t size, size_t *ret);
    int (*list_xattr)(struct view *view, const char *path, char *names, size_t size, size_t *ret);

    int (*statfs)(struct view *view, struct statvfs *ret);

    int (*open)(struct view *view, const char *path, struct view_file **ret);

    /*
     * Bytes OFFSET .. OFFSET + SIZE - 1, fewer only at the file's end (*RET says how many). A
     * range with a bad byte in it fails as a whole.
     */
    int (*read)(struct view_file *file, uint64_t offset, size_t size, uint8_t *data, size_t *ret);

    /*
     * As lseek(2) with SEEK_DATA or SEEK_HOLE. Bytes that are nothing but zeros may be a hole.
     * NULL: nothing is known of holes.
     */
    int (*seek)(struct view_file *file, uint64_t offset, int whence, uint64_t *ret);

    /* No read of it may be under way. */
    void (*close)(struct view_file *file);
};

static inline void view_free(struct view *view)
{
    view->operations->free(view);
}

static inline void view_close(struct view_file *file)
{
    file->operations->close(file);
}

DEFINE_CLEANUP(struct view *, view_free)
DEFINE_CLEANUP(struct view_file *, view_close)
#define cleanup_view      CLEANUP(cleanup_by_view_free)
#define cleanup_view_file CLEANUP(cleanup_by_view_close)
