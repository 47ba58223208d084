/* SPDX-License-Identifier: MIT */
#include "cli/destination.h"

#include "base/cleanup.h"
#include "sync/child.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { RESOLVE_LIMIT_S = 5 };

int destination_resolve(const char *path, char **ret)
{
    cleanup_free char *real = realpath(path, NULL), *one = strdup(path), *other = strdup(path);

    if (real) {
        *ret = steal_pointer(real);
        return 0;
    }
    if (errno != ENOENT || !one || !other)
        return -errno;
    const char *parent = dirname(one);
    if (strcmp(parent, path) == 0) /* the working directory was removed */
        return -ENOENT;
    int r = destination_resolve(parent, &real);
    if (!real)
        return r;
    const char *between = strcmp(real, "/") == 0 ? "" : "/";
    return asprintf(ret, "%s%s%s", real, between, basename(other)) < 0 ? -ENOMEM : 0;
}

void destination_resolve_soon(const char *path, char **ret)
{
    struct words words = {.names = NO_NAMES};

    WORDS_ADD(&words, "realpath", "--canonicalize-missing", "--", path);
    child_run(&words, RESOLVE_LIMIT_S, ret);
}

int destination_device(const char *path, dev_t *ret)
{
    struct stat status;

    if (stat(path, &status) == 0) {
        *ret = status.st_dev;
        return 0;
    }
    if (errno != ENOENT || strcmp(path, "/") == 0)
        return -errno;
    cleanup_free char *copy = strdup(path);
    return copy ? destination_device(dirname(copy), ret) : -ENOMEM;
}

bool destination_lies_in(const char *path, const char *folder)
{
    size_t length = strcmp(folder, "/") == 0 ? 0 : strlen(folder);

    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

int destination_settle(const char *path)
{
    cleanup_free char *copy = strdup(path);
    cleanup_fd int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd < 0) /* EACCES: a folder to write to alone */
        return errno == EACCES ? 0 : -errno;
    /* EINVAL: the file system has no way to do it. */
    return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}
