/* SPDX-License-Identifier: MIT */
#include "sync/lock.h"

#include "base/log.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Makes PATH and what is missing above it. */
static int make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int r = mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
        *slash = '/';
        if (r < 0)
            return r;
    }
    return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int choose_folder(char **ret)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int length;

    if (state && *state == '/')
        length = asprintf(ret, "%s/zfec-fs", state);
    else if (geteuid() == 0)
        length = asprintf(ret, "/var/lib/zfec-fs");
    else if (home && *home == '/')
        length = asprintf(ret, "%s/.local/state/zfec-fs", home);
    else
        return -ENOENT;
    return length < 0 ? -ENOMEM : 0;
}

int state_folder(char **ret)
{
    cleanup_free char *path = NULL;

    int r = choose_folder(&path);
    if (r == -ENOENT) {
        log_error("no place for what is remembered; set HOME or XDG_STATE_HOME");
        return r;
    }
    if (r == 0)
        r = make_folders(path);
    if (r < 0)
        return log_errno(r, "%s: cannot be made", path ? path : "the folder of states");
    *ret = steal_pointer(path);
    return 0;
}

int lock_take(const char *folder, const char *set, int *ret_fd)
{
    cleanup_free char *path = NULL;

    if (asprintf(&path, "%s/%s.lock", folder, set) < 0)
        return -ENOMEM;
    cleanup_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return log_errno(-errno, "%s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return log_errno(-errno, "%s", path);
        log_error("%s: another run of this set is under way; wait for its end", set);
        return -EBUSY;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

int lock_read_note(int fd, char **ret)
{
    char note[PATH_MAX];
    ssize_t size = pread(fd, note, sizeof note - 1, 0);

    if (size < 0)
        return -errno;
    note[size] = '\0';
    *ret = strdup(note);
    return *ret ? 0 : -ENOMEM;
}

int lock_write_note(int fd, const char *note)
{
    size_t length = strlen(note);

    if (ftruncate(fd, 0) < 0)
        return -errno;
    ssize_t written = pwrite(fd, note, length, 0);
    return written < 0 ? -errno : (size_t)written < length ? -ENOSPC : 0;
}
