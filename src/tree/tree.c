/* SPDX-License-Identifier: MIT */
#include "tree/tree.h"

#include "tree/walk.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

struct tree {
    int root;
    enum walk_reach reach;
    char name[];
};

/* What shows instead of the file system that walk_avoid names. */
static struct stat covered_status;

int tree_open(const char *path, struct tree **ret)
{
    cleanup_fd int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    bool is_own;

    if (root < 0)
        return -errno;
    int r = walk_is_avoided(root, &is_own);
    if (r < 0 || is_own)
        return r < 0 ? r : -ENOTDIR;
    struct tree *tree = malloc(sizeof *tree + strlen(path) + 1);
    if (!tree)
        return -ENOMEM;
    tree->root = steal_fd(&root);
    tree->reach = WALK_ANYWHERE;
    strcpy(tree->name, path);
    *ret = tree;
    return 0;
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

int tree_stat(const struct tree *tree, const char *path, struct stat *ret)
{
    cleanup_place struct place place = NO_PLACE;

    int r = walk_beneath(tree->root, path, tree->reach, &place);
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

static int read_target(int place, char **ret)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(place, "", target, sizeof target);

    if (length < 0)
        return errno == ENOENT ? -EINVAL : -errno; /* so says Linux of what is no symlink */
    char *copy = strndup(target, (size_t)length);
    if (!copy)
        return -ENOMEM;
    *ret = copy;
    return 0;
}

int tree_look(const struct tree *tree, const char *path, struct tree_object *ret)
{
    cleanup_place struct place place = NO_PLACE;
    struct tree_object object = {.fd = -1};

    int r = walk_beneath(tree->root, path, tree->reach, &place);
    if (r == 0)
        r = status_of(&place, &object.status);
    if (r == 0 && S_ISLNK(object.status.st_mode))
        r = read_target(place.fd, &object.target);
    if (r < 0)
        return r;
    if (S_ISREG(object.status.st_mode)) {
        object.fd = open_place(place.fd, 0);
        object.open_error = object.fd < 0 ? object.fd : 0;
    }
    *ret = object;
    return 0;
}

void tree_object_clear(struct tree_object *object)
{
    free(object->target);
    cleanup_close_fd(&object->fd);
}

int tree_open_file(const struct tree *tree, const char *path, struct stat *ret_stat, int *ret_fd)
{
    cleanup_place struct place place = NO_PLACE;

    int r = walk_beneath(tree->root, path, tree->reach, &place);
    if (r < 0)
        return r;
    if (place.closed)
        return -EISDIR;
    struct stat status;
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
    return place.closed ? -EINVAL : read_target(place.fd, ret);
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int tree_list(const struct tree *tree, const char *path, struct names *names)
{
    cleanup_place struct place place = NO_PLACE;
    cleanup_dir DIR *directory = NULL;

    int r = walk_beneath(tree->root, path, tree->reach, &place);
    if (r < 0 || place.closed)
        return r;
    int fd = open_place(place.fd, O_DIRECTORY);
    if (fd < 0)
        return fd;
    directory = fdopendir(fd);
    if (!directory) {
        r = -errno;
        close(fd);
        return r;
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry)
            return -errno;
        r = is_dots(entry->d_name) ? 0 : names_add(names, entry->d_name);
        if (r < 0)
            return r;
    }
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

int tree_read_xattrs(const struct tree *tree, const char *path, struct xattrs *ret)
{
    cleanup_place struct place place = NO_PLACE;

    *ret = NO_XATTRS;
    int r = walk_beneath(tree->root, path, tree->reach, &place);
    return r < 0 || place.closed ? r : xattrs_read_path(path_of(place.fd).text, ret);
}

int tree_statfs(const struct tree *tree, struct statvfs *ret)
{
    return fstatvfs(tree->root, ret) < 0 ? -errno : 0;
}
