/* SPDX-License-Identifier: MIT */
#include "engine/target.h"

#include "base/io.h"
#include "base/times.h"
#include "tree/mounts.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>

int target_begin(struct target *target, bool write)
{
    cleanup_fd int place = -1;
    struct stat status;

    int r = tree_open_directory(target->tree, "", &place);
    if (r < 0)
        return r;
    if (fstat(place, &status) < 0)
        return -errno;
    const struct fd_path path = fd_path(place); /* which opens, and changes, the root */
    /* If the owner cannot get access, the first write says why. */
    bool opened = write && geteuid() != 0 && (status.st_mode & S_IRWXU) != S_IRWXU &&
                  chmod(path.text, (status.st_mode & 07777) | S_IRWXU) == 0;
    int remote = mounts_is_remote(status.st_dev);
    cleanup_fd int root = open(path.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (remote < 0 || root < 0)
        r = remote < 0 ? remote : -errno;
    else if (flock(root, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        r = -EBUSY; /* what cannot be locked, as many file systems on a network, is used without */
    if (r < 0 && opened)
        chmod(path.text, status.st_mode & 07777);
    if (r < 0)
        return r;
    target->root = steal_fd(&root);
    target->mode_before = opened ? status.st_mode : 0;
    /* What is beyond a network or a FUSE server is not written out by syncfs. */
    target->device = remote ? 0 : status.st_dev;
    return 0;
}

void target_end(struct target *target, bool undo)
{
    if (target->root < 0)
        return;
    if (undo && target->mode_before)
        fchmod(target->root, target->mode_before & 07777);
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
                          uint8_t ret[KEY_SHARE_SIZE])
{
    struct share_header own = *header;

    if (target->share == TARGET_WHOLE)
        return 0;
    own.layout = header_plain_layout(header);
    own.index = (uint8_t)target->share;
    header_write(&own, ret);
    return (size_t)own.layout.header_size;
}

void seen_take(int directory, const char *name, struct seen *ret)
{
    *ret = (struct seen){0};
    if (fstatat(directory, name, &ret->status, AT_SYMLINK_NOFOLLOW) < 0)
        *ret = (struct seen){.error = -errno};
}

bool seen_failed(const struct seen *seen)
{
    return seen->error < 0 && seen->error != -ENOENT;
}

bool seen_is_there(int directory, const char *name, const struct seen *seen)
{
    const struct stat *before = &seen->status;
    struct seen now;

    seen_take(directory, name, &now);
    return now.error == seen->error && now.status.st_dev == before->st_dev &&
           now.status.st_ino == before->st_ino && now.status.st_size == before->st_size &&
           times_compare(&now.status.st_mtim, &before->st_mtim) == 0;
}

static bool has_header(const struct slot *slot, const struct original *original)
{
    uint8_t wanted[KEY_SHARE_SIZE], there[KEY_SHARE_SIZE];
    size_t size = target_file_header(slot->target, &original->header, wanted);
    cleanup_fd int fd = -1;

    if (size == 0)
        return true;
    fd = openat(slot->directory, original->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 && pread(fd, there, size, 0) == (ssize_t)size &&
           memcmp(wanted, there, size) == 0;
}

enum need slot_compare(const struct slot *slot, const struct original *original)
{
    const struct stat *wanted = &original->status;
    struct timespec time = wanted->st_mtim;
    char link_target[PATH_MAX];
    struct stat there;
    ssize_t length;
    bool same;

    if (fstatat(slot->directory, original->name, &there, AT_SYMLINK_NOFOLLOW) < 0 ||
        (there.st_mode & S_IFMT) != (wanted->st_mode & S_IFMT))
        return NEED_CONTENT;
    switch (wanted->st_mode & S_IFMT) {
    case S_IFDIR:
        same = true;
        break;
    case S_IFREG:
        if (slot->target->share != TARGET_WHOLE)
            header_file_time(&original->header, (uint8_t)slot->target->share, &time);
        same = original->header.layout.required > 0 &&
               (uint64_t)there.st_size == target_file_size(slot->target, &original->header) &&
               times_compare(&there.st_mtim, &time) == 0 &&
               there.st_nlink <= wanted->st_nlink && /* else it is another file's, too */
               has_header(slot, original);
        break;
    case S_IFLNK:
        length = readlinkat(slot->directory, original->name, link_target, sizeof link_target);
        same = length >= 0 && (size_t)length == strlen(original->link_target) &&
               memcmp(link_target, original->link_target, (size_t)length) == 0;
        break;
    default:
        same = there.st_rdev == wanted->st_rdev;
    }
    return same ? NEED_METADATA : NEED_CONTENT;
}
