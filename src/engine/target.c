/* SPDX-License-Identifier: MIT */
#include "engine/target.h"

#include "tree/mounts.h"
#include "view/status.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

/* The path in /proc by which the file behind FD can be reopened or changed. */
struct fd_path {
    char text[sizeof "/proc/self/fd/" + 3 * sizeof(int)];
};

static struct fd_path path_of(int fd)
{
    struct fd_path path;

    snprintf(path.text, sizeof path.text, "/proc/self/fd/%d", fd);
    return path;
}

/* What cannot be locked, as many file systems on a network, is used without. */
static int lock(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK ? -EBUSY : 0;
}

/* Gives the owner, who is not root, access to the root. If that fails, the first write says why. */
static void open_for_owner(struct target *target, int fd, mode_t mode)
{
    if (geteuid() != 0 && (mode & S_IRWXU) != S_IRWXU &&
        chmod(path_of(fd).text, (mode & 07777) | S_IRWXU) == 0)
        target->mode_before = mode;
}

static void close_again(struct target *target, int fd)
{
    if (target->mode_before)
        chmod(path_of(fd).text, target->mode_before & 07777);
    target->mode_before = 0;
}

static int open_root(struct target *target, int place)
{
    cleanup_fd int root = open(path_of(place).text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    int r = root < 0 ? -errno : lock(root);
    if (r == 0)
        target->root = steal_fd(&root);
    return r;
}

int target_begin(struct target *target, bool write)
{
    cleanup_fd int place = -1;
    struct stat status;

    int r = tree_open_directory(target->tree, "", &place);
    if (r < 0)
        return r;
    if (fstat(place, &status) < 0)
        return -errno;
    if (write)
        open_for_owner(target, place, status.st_mode);
    int remote = mounts_is_remote(status.st_dev);
    r = remote < 0 ? remote : open_root(target, place);
    if (r < 0)
        close_again(target, place);
    else /* what is beyond a network or a FUSE server is not written out by syncfs */
        target->device = remote ? 0 : status.st_dev;
    return r;
}

void target_end(struct target *target, bool undo)
{
    if (target->root < 0)
        return;
    if (undo)
        close_again(target, target->root);
    close(target->root);
}

int target_settle(const struct target *target)
{
    return target->device && syncfs(target->root) < 0 ? -errno : 0;
}

int target_open_unsettled(const struct target *target, int directory, const char *name, int *ret)
{
    struct stat status;

    *ret = -1;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (status.st_dev == target->device)
        return 0;
    *ret = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return *ret < 0 ? -errno : 0;
}

/* EINVAL: the file system has no such call for directories. */
int target_settle_open(int fd)
{
    return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

uint64_t target_file_size(const struct target *target, const struct share_header *header)
{
    struct share_layout layout = header_plain_layout(header);

    return target->share == TARGET_WHOLE ? layout.source_size : layout_share_size(&layout);
}

size_t target_file_header(const struct target *target, const struct share_header *header,
                          uint8_t ret[HEADER_SIZE_MAX])
{
    struct share_header own = *header;

    if (target->share == TARGET_WHOLE)
        return 0;
    own.layout = header_plain_layout(header);
    own.index = (uint8_t)target->share;
    header_write(&own, ret);
    return (size_t)own.layout.header_size;
}

static bool has_header(const struct target *target, int directory, const struct original *original)
{
    uint8_t wanted[HEADER_SIZE_MAX], there[HEADER_SIZE_MAX];
    size_t size = target_file_header(target, &original->header, wanted);
    cleanup_fd int fd = -1;

    if (size == 0)
        return true;
    fd = openat(directory, original->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 && pread(fd, there, size, 0) == (ssize_t)size &&
           memcmp(wanted, there, size) == 0;
}

static bool same_link(int directory, const struct original *original)
{
    char there[PATH_MAX];
    ssize_t length = readlinkat(directory, original->name, there, sizeof there);

    return length >= 0 && (size_t)length == strlen(original->link_target) &&
           memcmp(there, original->link_target, (size_t)length) == 0;
}

enum need target_compare(const struct target *target, int directory,
                         const struct original *original)
{
    const struct stat *wanted = &original->status;
    struct stat there;
    bool same;

    if (fstatat(directory, original->name, &there, AT_SYMLINK_NOFOLLOW) < 0 ||
        (there.st_mode & S_IFMT) != (wanted->st_mode & S_IFMT))
        return NEED_CONTENT;
    switch (wanted->st_mode & S_IFMT) {
    case S_IFDIR:
        same = true;
        break;
    case S_IFREG:
        same = original->header.layout.required > 0 &&
               (uint64_t)there.st_size == target_file_size(target, &original->header) &&
               status_same_time(&there.st_mtim, &wanted->st_mtim) &&
               there.st_nlink <= wanted->st_nlink && /* else it is another file's, too */
               has_header(target, directory, original);
        break;
    case S_IFLNK:
        same = same_link(directory, original);
        break;
    default:
        same = there.st_rdev == wanted->st_rdev;
    }
    return same ? NEED_METADATA : NEED_CONTENT;
}
