/* SPDX-License-Identifier: MIT */
#include "tree/walk.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
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
    bool set;
    dev_t device;
} avoided;

void walk_avoid(dev_t device)
{
    avoided.device = device;
    avoided.set = true;
}

/* In one call, as long as PATH stays on ROOT's file system and fits PATH_MAX. */
static int walk_at_once(int root, const char *path, int *ret)
{
    struct open_how how = {
        .flags = PLACE_FLAGS,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };

    long fd = syscall(SYS_openat2, root, path, &how, sizeof how);
    if (fd < 0)
        return errno == ELOOP ? -ENOTDIR : -errno;
    *ret = (int)fd;
    return 0;
}

/* Asks the kernel's memory only, never the file system: that might be the one avoided. */
int walk_is_avoided(int fd, bool *ret)
{
    struct statx status;

    *ret = false;
    if (!avoided.set)
        return 0;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) < 0)
        return -errno;
    *ret = makedev(status.stx_dev_major, status.stx_dev_minor) == avoided.device;
    return 0;
}

static bool goes_up(const char *path)
{
    for (const char *at = path; (at = strstr(at, "..")); at++) {
        if ((at == path || at[-1] == '/') && (at[2] == '\0' || at[2] == '/'))
            return true;
    }
    return false;
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

/* Name by name: across mounts, along paths of any length, and without openat2. */
static int walk_by_steps(int root, const char *path, int *ret)
{
    cleanup_fd int at = -1;
    char name[NAME_MAX + 1];
    bool is_own;

    while (*path) {
        int r = next_name(&path, name);
        if (r < 0)
            return r;
        int fd = openat(at < 0 ? root : at, name, PLACE_FLAGS);
        if (fd < 0)
            return -errno;
        cleanup_close_fd(&at);
        at = fd;
        r = walk_is_avoided(at, &is_own);
        if (r < 0)
            return r;
        if (is_own) {
            *ret = -1;
            return *path ? -ENOENT : 0;
        }
    }
    *ret = steal_fd(&at);
    return 0;
}

int walk_beneath(int root, const char *path, int *ret)
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
        return walk_by_steps(root, *path ? path : ".", ret);
    default:
        return r;
    }
}
