/* SPDX-License-Identifier: MIT */
#include "tree/tree.h"

#include "tree/mounts.h"
#include "tree/nearby.h"
#include "tree/walk.h"

#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

struct tree {
    uint64_t number; /* of no other tree of this process, also later */
    int root;
    bool remote;
    enum walk_reach reach;
    char name[];
};

/* What shows instead of the file system that walk_avoid names. */
static struct stat covered_status;

/* What the kernel remembers of a place, without asking its file system. */
static int remembered(int place, struct statx *ret)
{
    unsigned mask = STATX_TYPE | STATX_INO;

    return statx(place, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, mask, ret) < 0 ? -errno : 0;
}

int tree_device(const struct tree *tree, dev_t *ret)
{
    struct statx status;

    int r = remembered(tree->root, &status);
    if (r == 0)
        *ret = makedev(status.stx_dev_major, status.stx_dev_minor);
    return r;
}

int tree_open(const char *path, struct tree **ret)
{
    static atomic_ullong number;
    cleanup_tree struct tree *tree = NULL;
    cleanup_fd int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool is_own;
    dev_t device;

    if (root < 0)
        return -errno;
    int r = walk_is_avoided(root, &is_own);
    if (r < 0 || is_own)
        return r < 0 ? r : -ENOTDIR;
    tree = malloc(sizeof *tree + strlen(path) + 1);
    if (!tree)
        return -ENOMEM;
    tree->number = atomic_fetch_add(&number, 1);
    tree->root = steal_fd(&root);
    tree->reach = WALK_ANYWHERE;
    strcpy(tree->name, path);
    r = tree_device(tree, &device);
    if (r < 0)
        return r;
    tree->remote = mounts_is_remote(device);
    *ret = steal_pointer(tree);
    return 0;
}

bool tree_is_remote(const struct tree *tree)
{
    return tree->remote;
}

void tree_close(struct tree *tree)
{
    close(tree->root);
    free(tree);
}

void tree_stay(struct tree *tree, bool all)
{
    tree->reach = all ? WALK_NOWHERE : WALK_NO_PSEUDO;
}

static bool is_one_directory(int first, int second)
{
    struct statx a, b;

    return remembered(first, &a) == 0 && remembered(second, &b) == 0 && a.stx_ino == b.stx_ino &&
           a.stx_dev_major == b.stx_dev_major && a.stx_dev_minor == b.stx_dev_minor;
}

bool tree_is_at(const struct tree *tree, const char *path)
{
    cleanup_fd int place = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return place >= 0 && is_one_directory(tree->root, place);
}

bool tree_is_same(const struct tree *tree, const struct tree *other)
{
    return is_one_directory(tree->root, other->root);
}

const char *tree_name(const struct tree *tree)
{
    return tree->name;
}

void tree_avoid(dev_t device, const struct stat *covered)
{
    covered_status = *covered;
    walk_avoid(device);
}

static int status_of(const struct place *place, struct stat *ret)
{
    if (place->fd < 0)
        *ret = covered_status;
    else if (fstat(place->fd, ret) < 0)
        return -errno;
    if (place->closed)
        ret->st_nlink = 2; /* there are no directories in it */
    return 0;
}

static struct timespec time_of(const struct statx_timestamp *time)
{
    return (struct timespec){.tv_sec = time->tv_sec, .tv_nsec = time->tv_nsec};
}

static struct stat stat_of(const struct statx *status)
{
    return (struct stat){
        .st_dev = makedev(status->stx_dev_major, status->stx_dev_minor),
        .st_ino = status->stx_ino,
        .st_mode = status->stx_mode,
        .st_nlink = status->stx_nlink,
        .st_uid = status->stx_uid,
        .st_gid = status->stx_gid,
        .st_rdev = makedev(status->stx_rdev_major, status->stx_rdev_minor),
        .st_size = (off_t)status->stx_size,
        .st_blksize = (blksize_t)status->stx_blksize,
        .st_blocks = (blkcnt_t)status->stx_blocks,
        .st_atim = time_of(&status->stx_atime),
        .st_mtim = time_of(&status->stx_mtime),
        .st_ctim = time_of(&status->stx_ctime),
    };
}

/*
 * Of NAME in a directory, unless something is mounted there: -EXDEV. What is mounted is not asked,
 * and what the kernel remembers of a file of its own is all there is to know.
 */
static int stat_nearby(const struct nearby *nearby, const char *name, struct stat *ret)
{
    enum {
        MASK = STATX_BASIC_STATS | STATX_MNT_ID,
        FLAGS = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
    };
    struct statx status;

    if (statx(nearby->fd, name, FLAGS, MASK, &status) < 0)
        return -errno;
    if ((status.stx_mask & MASK) != MASK || status.stx_mnt_id != nearby->mount)
        return -EXDEV;
    *ret = stat_of(&status);
    return 0;
}

/* The directory of PATH where this thread is busy in it; NULL where PATH is to be walked to. */
static const struct nearby *nearby_of(const struct tree *tree, const char *path,
                                      const char **ret_name)
{
    return tree->remote ? NULL : nearby_find(tree->number, tree->root, path, ret_name);
}

int tree_stat(const struct tree *tree, const char *path, struct stat *ret)
{
    cleanup_place struct place place = NO_PLACE;
    const char *name;
    const struct nearby *nearby = nearby_of(tree, path, &name);

    int r = nearby ? stat_nearby(nearby, name, ret) : -EXDEV;
    if (r != -EXDEV)
        return r;
    r = walk_beneath(tree->root, path, tree->reach, &place);
    return r < 0 ? r : status_of(&place, ret);
}

/* A path to the very object that a place holds, whatever its name stands for by now. */
struct place_path {
    char text[sizeof "/proc/self/fd/" + 3 * sizeof(int)];
};

static struct place_path path_of(int place)
{
    struct place_path path;

    snprintf(path.text, sizeof path.text, "/proc/self/fd/%d", place);
    return path;
}

/* Opens without touching the time of the last access where that is permitted. */
static int open_place(int place, int flags)
{
    struct place_path path = path_of(place);

    int fd = open(path.text, flags | O_RDONLY | O_CLOEXEC | O_NOATIME);
    if (fd < 0 && errno == EPERM)
        fd = open(path.text, flags | O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Of the symlink NAME in a directory, or, where it is "", of the place itself. */
static int read_target(int place, const char *name, char **ret)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(place, name, target, sizeof target);

    if (length < 0)
        return errno == ENOENT ? -EINVAL : -errno; /* so says Linux of what is no symlink */
    char *copy = strndup(target, (size_t)length);
    if (!copy)
        return -ENOMEM;
    *ret = copy;
    return 0;
}

/*
 * Opens PATH beneath DIRECTORY, which was a regular file just now. What has taken its place
 * meanwhile is not waited for (O_NONBLOCK), and is no answer: -EXDEV.
 */
static int open_regular(int directory, const char *path, struct stat *ret_status, int *ret_fd)
{
    cleanup_fd int fd = walk_open(directory, path, 0);

    if (fd < 0 || fstat(fd, ret_status) < 0 || !S_ISREG(ret_status->st_mode))
        return -EXDEV;
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int open_nearby(const struct nearby *nearby, const char *name, struct tree_object *object)
{
    struct stat then = object->status;
    cleanup_fd int fd = -1;

    int r = open_regular(nearby->fd, name, &object->status, &fd);
    if (r < 0 || object->status.st_ino != then.st_ino || object->status.st_dev != then.st_dev)
        return -EXDEV;
    object->fd = steal_fd(&fd);
    return 0;
}

static int look_nearby(const struct nearby *nearby, const char *name, struct tree_object *object)
{
    int r = stat_nearby(nearby, name, &object->status);

    if (r == 0 && S_ISLNK(object->status.st_mode) &&
        read_target(nearby->fd, name, &object->target) < 0)
        return -EXDEV; /* something else has taken its place */
    if (r == 0 && S_ISREG(object->status.st_mode))
        r = open_nearby(nearby, name, object);
    return r;
}

static int look_at(const struct place *place, struct tree_object *object)
{
    int r = status_of(place, &object->status);

    if (r == 0 && S_ISLNK(object->status.st_mode))
        r = read_target(place->fd, "", &object->target);
    if (r == 0 && S_ISREG(object->status.st_mode)) {
        object->fd = open_place(place->fd, 0);
        object->open_error = object->fd < 0 ? object->fd : 0;
    }
    return r;
}

int tree_look(const struct tree *tree, const char *path, struct tree_object *ret)
{
    cleanup_place struct place place = NO_PLACE;
    struct tree_object object = {.fd = -1};
    const char *name;
    const struct nearby *nearby = nearby_of(tree, path, &name);

    int r = nearby ? look_nearby(nearby, name, &object) : -EXDEV;
    if (r == -EXDEV) {
        r = walk_beneath(tree->root, path, tree->reach, &place);
        if (r == 0)
            r = look_at(&place, &object);
    }
    if (r == 0)
        *ret = object;
    return r;
}

void tree_object_clear(struct tree_object *object)
{
    free(object->target);
    cleanup_close_fd(&object->fd);
}

/* The same for any path, and whatever is there. */
static int open_by_place(const struct tree *tree, const char *path, struct stat *ret_stat,
                         int *ret_fd)
{
    cleanup_place struct place place = NO_PLACE;
    struct stat status;

    int r = walk_beneath(tree->root, path, tree->reach, &place);
    if (r < 0)
        return r;
    if (place.closed)
        return -EISDIR;
    if (fstat(place.fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    int fd = open_place(place.fd, 0);
    if (fd < 0)
        return fd;
    *ret_stat = status;
    *ret_fd = fd;
    return 0;
}

int tree_open_file(const struct tree *tree, const char *path, struct stat *ret_stat, int *ret_fd)
{
    int r = open_regular(tree->root, path, ret_stat, ret_fd);

    return r == -EXDEV ? open_by_place(tree, path, ret_stat, ret_fd) : r;
}

int tree_open_directory(const struct tree *tree, const char *path, int *ret_fd)
{
    cleanup_place struct place place = NO_PLACE;
    struct stat status;

    int r = walk_beneath(tree->root, path, tree->reach, &place);
    if (r < 0)
        return r;
    if (place.closed || fstat(place.fd, &status) < 0)
        return place.closed ? -EACCES : -errno;
    if (!S_ISDIR(status.st_mode))
        return -ENOTDIR;
    *ret_fd = steal_fd(&place.fd);
    return 0;
}

int tree_read_link(const struct tree *tree, const char *path, char **ret)
{
    cleanup_place struct place place = NO_PLACE;

    int r = walk_beneath(tree->root, path, tree->reach, &place);
    if (r < 0)
        return r;
    return place.closed ? -EINVAL : read_target(place.fd, "", ret);
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int read_names(DIR *directory, dev_t device, struct names *names)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry)
            return -errno;
        struct listed known = {
            .device = device, .inode = entry->d_ino, .kind = (mode_t)DTTOIF(entry->d_type)};
        int r = is_dots(entry->d_name) ? 0 : names_add_known(names, entry->d_name, &known);
        if (r < 0)
            return r;
    }
}

/* Opens the directory PATH to be read; *RET_FD is -1 for one that is closed. */
static int open_to_list(const struct tree *tree, const char *path, int *ret_fd)
{
    enum { FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC };
    cleanup_place struct place place = NO_PLACE;

    int fd = walk_open(tree->root, *path ? path : ".", O_DIRECTORY);
    if (fd >= 0) {
        *ret_fd = fd;
        return 0;
    }
    int r = walk_beneath(tree->root, path, tree->reach, &place);
    if (r < 0 || place.closed)
        return r;
    *ret_fd = openat(place.fd, ".", FLAGS | O_NOATIME);
    if (*ret_fd < 0 && errno == EPERM)
        *ret_fd = openat(place.fd, ".", FLAGS);
    return *ret_fd < 0 ? -errno : 0;
}

int tree_list(const struct tree *tree, const char *path, struct names *names)
{
    cleanup_dir DIR *directory = NULL;
    cleanup_fd int fd = -1;
    struct stat status;

    int r = open_to_list(tree, path, &fd);
    if (r < 0 || fd < 0)
        return r;
    directory = fdopendir(fd);
    if (!directory)
        return -errno;
    return fstat(steal_fd(&fd), &status) < 0 ? -errno : read_names(directory, status.st_dev, names);
}

int tree_get_xattr(const struct tree *tree, const char *path, const char *name, void *value,
                   size_t size, size_t *ret)
{
    cleanup_place struct place place = NO_PLACE;

    int r = walk_beneath(tree->root, path, tree->reach, &place);
    if (r < 0)
        return r;
    if (place.closed)
        return -ENODATA;
    ssize_t there = getxattr(path_of(place.fd).text, name, value, size);
    if (there < 0)
        return -errno;
    *ret = (size_t)there;
    return 0;
}

int tree_list_xattr(const struct tree *tree, const char *path, char *names, size_t size,
                    size_t *ret)
{
    cleanup_place struct place place = NO_PLACE;

    int r = walk_beneath(tree->root, path, tree->reach, &place);
    if (r < 0)
        return r;
    ssize_t there = place.closed ? 0 : listxattr(path_of(place.fd).text, names, size);
    if (there < 0)
        return -errno;
    *ret = (size_t)there;
    return 0;
}

int tree_read_xattrs(const struct tree *tree, const char *path, const char *name,
                     struct xattrs *ret)
{
    cleanup_place struct place place = NO_PLACE;

    *ret = NO_XATTRS;
    int r = walk_beneath(tree->root, path, tree->reach, &place);
    return r < 0 || place.closed ? r : xattrs_read_path(path_of(place.fd).text, name, ret);
}

int tree_statfs(const struct tree *tree, struct statvfs *ret)
{
    return fstatvfs(tree->root, ret) < 0 ? -errno : 0;
}
