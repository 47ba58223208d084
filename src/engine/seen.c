/* SPDX-License-Identifier: MIT */
#include "engine/seen.h"

#include <errno.h>
#include <fcntl.h>

void seen_take(int directory, const char *name, struct seen *ret)
{
    struct stat status = {0};
    int error = fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;

    *ret = (struct seen){.error = error,
                         .device = status.st_dev,
                         .number = status.st_ino,
                         .size = status.st_size,
                         .mtime = status.st_mtim,
                         .mode = status.st_mode,
                         .uid = status.st_uid,
                         .gid = status.st_gid};
}

bool seen_is_there(int directory, const char *name, const struct seen *seen)
{
    struct seen now;

    seen_take(directory, name, &now);
    return now.error == seen->error && now.device == seen->device && now.number == seen->number &&
           now.size == seen->size && now.mtime.tv_sec == seen->mtime.tv_sec &&
           now.mtime.tv_nsec == seen->mtime.tv_nsec;
}
