/* SPDX-License-Identifier: MIT */
#include "tree/remove.h"

#include "base/cleanup.h"
#include "base/names.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int list(int fd, struct names *names)
{
    cleanup_dir DIR *directory = fdopendir(fd);
    const struct dirent *entry;
    int r = 0;

    if (!directory) {
        r = -errno;
        close(fd);
        return r;
    }
    for (errno = 0; r == 0 && (entry = readdir(directory)); errno = 0) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = names_add(names, entry->d_name);
    }
    return r < 0 ? r : -errno;
}

/* Opens the subdirectory NAME, also where its owner had closed it to himself. */
static int open_directory(int parent, const char *name)
{
    enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
    int fd = openat(parent, name, FLAGS);

    if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
        fd = openat(parent, name, FLAGS);
    else if (fd >= 0 && geteuid() != 0)
        fchmod(fd, 0700); /* where that fails, removing does, and says why */
    return fd < 0 ? -errno : fd;
}

static int remove_contents(int parent, const char *name)
{
    cleanup_names struct names names = NO_NAMES;
    cleanup_fd int fd = open_directory(parent, name);

    if (fd < 0)
        return fd;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    int r = copy < 0 ? -errno : list(copy, &names);
    for (size_t i = 0; r == 0 && i < names.count; i++)
        r = remove_all(fd, names_get(&names, i));
    return r;
}

int remove_all(int directory, const char *name)
{
    if (unlinkat(directory, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM) /* Linux says the former, others may the latter */
        return -errno;
    int r = remove_contents(directory, name);
    if (r == 0 && unlinkat(directory, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        r = -errno;
    return r == -ENOTDIR ? -EPERM : r;
}
