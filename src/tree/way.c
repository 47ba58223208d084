/* SPDX-License-Identifier: MIT */
#include "tree/way.h"

#include "base/cleanup.h"
#include "tree/mounts.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* From the kernel's memory, which the way there has filled: its file system may hang. */
static int is_open_directory(const char *path, bool *ret)
{
    struct statx status;

    if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_MODE, &status) < 0)
        return -errno;
    *ret = status.stx_mode & S_IXOTH;
    return 0;
}

int way_is_closed(const char *path, bool *ret)
{
    cleanup_free char *way = realpath(path, NULL);
    bool is_open = true;
    int r = 0;

    if (!way)
        return -errno;
    bool closed = mounts_are_private(way);
    for (char *slash; r == 0 && !closed && (slash = strrchr(way, '/'));) {
        slash[slash == way] = '\0'; /* "/" itself comes last */
        r = is_open_directory(way, &is_open);
        closed = !is_open;
        if (slash == way)
            break;
    }
    *ret = closed;
    return r;
}
