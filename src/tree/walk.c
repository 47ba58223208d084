/* SPDX-License-Identifier: MIT */
#include "tree/walk.h"

#include "base/cleanup.h"
#include "tree/mounts.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

enum {
    /* Longer paths are refused: a tree must not be able to make the walk through it endless. */
    PATH_LENGTH_MAX = 1 << 16,
    PLACE_FLAGS = O_PATH | O_NOFOLLOW | O_CLOEXEC,
};

static struct {
    atomic_bool set; /* after the device: threads may be walking already */
    dev_t device;
} avoided;

void walk_avoid(dev_t device)
{
    avoided.device = device;
    atomic_store(&avoided.set, true);
}

/* Opens PATH beneath ROOT, if it stays on ROOT's mount and fits PATH_MAX. */
static int open_beneath(int root, const char *path, int flags)
{
    struct open_how how = {
        .flags = (unsigned)flags,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };

    long fd = syscall(SYS_openat2, root, path, &how, sizeof how);
    return fd < 0 ? -errno : (int)fd;
}

static int walk_at_once(int root, const char *path, struct place *ret)
{
    int fd = open_beneath(root, path, PLACE_FLAGS);

    if (fd < 0)
        return fd == -ELOOP ? -ENOTDIR : fd;
    *ret = (struct place){.fd = fd};
    return 0;
}

/* The device, from the kernel's memory only: its file system might be the one that is avoided. */
static int device_of(int fd, dev_t *ret)
{
    struct statx status;

    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) < 0)
        return -errno;
    *ret = makedev(status.stx_dev_major, status.stx_dev_minor);
    return 0;
}

static bool is_avoided(dev_t device)
{
    return atomic_load(&avoided.set) && device == avoided.device;
}

int walk_is_avoided(int fd, bool *ret)
{
    dev_t device;

    int r = device_of(fd, &device);
    if (r == 0)
        *ret = is_avoided(device);
    return r;
}

static bool goes_up(const char *path)
{
    for (const char *at = path; (at = strstr(at, "..")); at++) {
        if ((at == path || at[-1] == '/') && (at[2] == '\0' || at[2] == '/'))
            return true;
    }
    return false;
}

int walk_open(int root, const char *path, int flags)
{
    if (goes_up(path))
        return -EXDEV;
    flags |= O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC;
    int fd = open_beneath(root, path, flags | O_NOATIME);

    return fd == -EPERM ? open_beneath(root, path, flags) : fd;
}

/* Copies the first name of *PATH to NAME and moves *PATH behind it. */
static int next_name(const char **path, char name[NAME_MAX + 1])
{
    size_t length = strcspn(*path, "/");

    if (length > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(name, *path, length);
    name[length] = '\0';
    *path += length + ((*path)[length] == '/');
    return 0;
}

/* Returns true if the walk ends at the root of file system DEVICE, which it came to from HOME's. */
static bool is_closed(dev_t device, dev_t home, enum walk_reach reach)
{
    if (is_avoided(device))
        return true;
    if (device == home || reach == WALK_ANYWHERE)
        return false;
    return reach == WALK_NOWHERE || mounts_is_pseudo(device);
}

/* Name by name: across mounts, along paths of any length, and without openat2. */
static int walk_by_steps(int root, const char *path, enum walk_reach reach, struct place *ret)
{
    cleanup_place struct place at = NO_PLACE;
    char name[NAME_MAX + 1];
    dev_t home, device;

    int r = device_of(root, &home);
    while (r == 0 && *path) {
        if (at.closed)
            return -ENOENT;
        r = next_name(&path, name);
        if (r < 0)
            return r;
        int fd = openat(at.fd < 0 ? root : at.fd, name, PLACE_FLAGS);
        if (fd < 0)
            return -errno;
        cleanup_close_fd(&at.fd);
        at.fd = fd;
        r = device_of(fd, &device);
        at.closed = r == 0 && is_closed(device, home, reach);
    }
    if (r < 0)
        return r;
    bool askable = !at.closed || !is_avoided(device);
    *ret = (struct place){.fd = askable ? steal_fd(&at.fd) : -1, .closed = at.closed};
    return 0;
}

int walk_beneath(int root, const char *path, enum walk_reach reach, struct place *ret)
{
    if (strlen(path) > PATH_LENGTH_MAX)
        return -ENAMETOOLONG;
    if (goes_up(path))
        return -EXDEV;
    int r = walk_at_once(root, *path ? path : ".", ret);

    switch (r) {
    case -EXDEV:        /* a mount lies on the way */
    case -ENAMETOOLONG: /* more than PATH_MAX */
    case -EAGAIN:       /* something was renamed meanwhile */
    case -ENOSYS:       /* Linux before 5.6 */
    case -EPERM:        /* a sandbox that does not know openat2 */
        return walk_by_steps(root, *path ? path : ".", reach, ret);
    default:
        return r;
    }
}
