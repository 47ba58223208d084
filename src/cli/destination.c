/* SPDX-License-Identifier: MIT */
#include "cli/destination.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "sync/child.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { RESOLVE_LIMIT_S = 5 };

/* The directory that PATH is in; the caller frees it. NULL without memory. */
static char *parent_of(const char *path)
{
    cleanup_free char *copy = strdup(path);

    return copy ? strdup(dirname(copy)) : NULL;
}

/* Resolves the parent of PATH, which does not exist, and adds the last name. */
static int resolve_missing(const char *path, char **ret)
{
    cleanup_free char *parent = parent_of(path), *copy = strdup(path), *real = NULL;

    if (!parent || !copy)
        return -ENOMEM;
    if (strcmp(parent, path) == 0) /* the working directory was removed */
        return -ENOENT;
    int r = destination_resolve(parent, &real);
    if (!real)
        return r;
    const char *between = strcmp(real, "/") == 0 ? "" : "/";
    return asprintf(ret, "%s%s%s", real, between, basename(copy)) < 0 ? -ENOMEM : 0;
}

int destination_resolve(const char *path, char **ret)
{
    char *real = realpath(path, NULL);

    if (!real)
        return errno == ENOENT ? resolve_missing(path, ret) : -errno;
    *ret = real;
    return 0;
}

void destination_resolve_soon(const char *path, char **ret)
{
    struct words words = {.names = NO_NAMES};

    WORDS_ADD(&words, "realpath", "--canonicalize-missing", "--", path);
    child_run(&words, RESOLVE_LIMIT_S, ret);
}

int destination_device(const char *path, dev_t *ret)
{
    cleanup_free char *parent = NULL;
    struct stat status;

    if (stat(path, &status) == 0) {
        *ret = status.st_dev;
        return 0;
    }
    if (errno != ENOENT || strcmp(path, "/") == 0)
        return -errno;
    parent = parent_of(path);
    return parent ? destination_device(parent, ret) : -ENOMEM;
}

bool destination_lies_in(const char *path, const char *folder)
{
    size_t length = strcmp(folder, "/") == 0 ? 0 : strlen(folder);

    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

int destination_check(const char *path, bool must_exist)
{
    struct stat status;

    if (stat(path, &status) == 0)
        return S_ISDIR(status.st_mode) ? 0 : log_errno(-ENOTDIR, "%s: cannot be written to", path);
    if (errno != ENOENT)
        return log_errno(-errno, "%s: cannot be written to", path);
    if (lstat(path, &status) == 0) {
        log_error("%s: is a dangling symlink; create its target first", path);
        return -ENOENT;
    }
    if (must_exist) {
        log_error("%s: does not exist; create it for a dry run", path);
        return -ENOENT;
    }
    return 0;
}

int destination_settle(const char *path)
{
    cleanup_free char *parent = parent_of(path);
    cleanup_fd int fd = -1;

    if (!parent)
        return -ENOMEM;
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? 0 : -errno; /* a folder to write to alone */
    /* EINVAL: the file system has no way to do it. */
    return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}
