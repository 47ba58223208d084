/* SPDX-License-Identifier: MIT */
/*
 * A directory tree that is never left: the source, a store, or what a command writes to. What lies
 * in it is not trusted. No symlink in it is followed, ".." is refused, and nothing but directories
 * and regular files is opened.
 *
 * Paths are relative to the tree's root, without a leading slash, of any length; "" is the root.
 * Functions return 0 or a negative errno. Any thread may use a tree.
 */
#pragma once

#include "base/cleanup.h"
#include "base/names.h"
#include "base/xattrs.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

struct tree;

/*
 * Opens the tree at PATH, which the user named: it is trusted, and may be a symlink. Asks the file
 * system only for the way there. Returns -ENOTDIR for the device that tree_avoid names as well.
 */
int tree_open(const char *path, struct tree **ret);

void tree_close(struct tree *tree);

/*
 * Has the roots of pseudo file systems (proc, sysfs, ...), or of ALL others than the tree's own,
 * show as empty directories. To be called before the tree is used.
 */
void tree_stay(struct tree *tree, bool all);

/* Has names in the tree, which `rclone mount` shows, be what they are at its remote: see
 * pictures.h. To be called before the tree is used. */
void tree_take_pictures(struct tree *tree);

/* Returns true if others than this kernel and its disks answer for its root. */
bool tree_is_remote(const struct tree *tree);

/* The device of its root, and whether PATH or OTHER lead to its root; no file system is asked. */
dev_t tree_device(const struct tree *tree);
bool tree_is_at(const struct tree *tree, const char *path);
bool tree_is_same(const struct tree *tree, const struct tree *other);

/* What the tree was opened as, for messages. */
const char *tree_name(const struct tree *tree);

/* Of the object itself, also of a symlink. */
int tree_stat(const struct tree *tree, const char *path, struct stat *ret);

/* What an object is, and what leads to its content. */
struct tree_object {
    struct stat status;
    char *target;   /* of a symlink; else NULL */
    int fd;         /* of a regular file, for reading; below 0 where there is none */
    int open_error; /* why a regular file could not be opened; else 0 */
};

/* Clear RET in the end, where this returns 0. */
int tree_look(const struct tree *tree, const char *path, struct tree_object *ret);

void tree_object_clear(struct tree_object *object);

/* A regular file for reading, and its status. -EISDIR, or -EINVAL for other things than files. */
int tree_open_file(const struct tree *tree, const char *path, struct stat *ret_stat, int *ret_fd);

/* A directory, for what is done to the names in it (O_PATH). */
int tree_open_directory(const struct tree *tree, const char *path, int *ret_fd);

/* The caller frees the target. */
int tree_read_link(const struct tree *tree, const char *path, char **ret);

/*
 * Adds the directory's names to NAMES, in no order, with what it says of them: where something is
 * mounted, that is what lies below.
 */
int tree_list(const struct tree *tree, const char *path, struct names *names);

/*
 * As lgetxattr(2), or as llistxattr(2) where NAME is NULL: up to SIZE bytes to VALUE, and how many
 * there are; with SIZE 0 only how many. -ENODATA, -ERANGE, -ENOTSUP.
 */
int tree_get_xattr(const struct tree *tree, const char *path, const char *name, void *value,
                   size_t size, size_t *ret);

/* Those that a copy of PATH should have, too; NAME: this one. Clear RET in any case. */
int tree_read_xattrs(const struct tree *tree, const char *path, const char *name,
                     struct xattrs *ret);

/*
 * Between the two, this thread goes to the directory of the names that it asks for but once, also
 * if it is renamed meanwhile. For what is one question to who asks it, about many names.
 */
void tree_stay_nearby(void);
void tree_leave_nearby(void);

/* Between the two: what this thread looks at next was a regular file when its directory was listed
 * (REGULAR), or may be anything. */
void tree_expect(bool regular);

int tree_statfs(const struct tree *tree, struct statvfs *ret);

/*
 * Keeps all trees of this process out of the file system DEVICE, which the process serves itself:
 * to ask it would be to wait for oneself. Where it is mounted in a tree, an empty directory with
 * the status COVERED shows. To be called once.
 */
void tree_avoid(dev_t device, const struct stat *covered);

DEFINE_CLEANUP(struct tree *, tree_close)
#define cleanup_tree CLEANUP(cleanup_by_tree_close)
