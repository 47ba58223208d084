/* SPDX-License-Identifier: MIT */
#include "cli/published.h"

#include "base/log.h"
#include "tree/temporary.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int fail(const struct published *published, int error)
{
    return log_errno(error, "%s %s: cannot be written", published->option, published->path);
}

/* Only a regular file is replaced: not /dev/null, for one. */
static int check_target(const struct published *published)
{
    struct stat status;

    if (!*published->name)
        return -EISDIR;
    if (fstatat(published->directory, published->name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    return S_ISREG(status.st_mode) ? 0 : S_ISDIR(status.st_mode) ? -EISDIR : -EEXIST;
}

int published_open(struct published *ret, const char *option, const char *path)
{
    const char *slash = strrchr(path, '/');
    cleanup_free char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");

    *ret = (struct published){option, path, slash ? slash + 1 : path, -1};
    if (!directory)
        return fail(ret, -ENOMEM);
    ret->directory = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int r = ret->directory < 0 ? -errno : check_target(ret);
    return r < 0 ? fail(ret, r) : 0;
}

int published_try(const struct published *published)
{
    char temporary[TEMPORARY_NAME_SIZE];
    cleanup_fd int fd = -1;

    int r = temporary_file(published->directory, temporary, &fd);
    if (r == 0 && unlinkat(published->directory, temporary, 0) < 0)
        r = -errno;
    return r < 0 ? fail(published, r) : 0;
}

int published_write(const struct published *published, const char *text, mode_t mode)
{
    char temporary[TEMPORARY_NAME_SIZE];
    cleanup_fd int fd = -1;

    int r = text ? temporary_file(published->directory, temporary, &fd) : -ENOMEM;
    if (r < 0)
        return fail(published, r);
    if (dprintf(fd, "%s", text) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0)
        r = -errno;
    if (r == 0)
        r = check_target(published); /* again: hours may have passed */
    if (r == 0 &&
        renameat(published->directory, temporary, published->directory, published->name) < 0)
        r = -errno;
    if (r < 0)
        unlinkat(published->directory, temporary, 0);
    return r < 0 ? fail(published, r) : 0;
}

void published_close(struct published *published)
{
    cleanup_close_fd(&published->directory);
}
