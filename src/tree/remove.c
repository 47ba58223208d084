/* SPDX-License-Identifier: MIT */
#include "tree/remove.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/names.h"
#include "tree/whereabouts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Opens the subdirectory NAME; to remove from it, also where its owner had closed it to himself. */
static int open_directory(int parent, const char *name, bool dry_run)
{
    enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
    int fd = openat(parent, name, FLAGS);

    if (dry_run)
        return fd < 0 ? -errno : fd;
    if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
        fd = openat(parent, name, FLAGS);
    else if (fd >= 0 && geteuid() != 0)
        fchmod(fd, 0700); /* where that fails, removing does, and says why */
    return fd < 0 ? -errno : fd;
}

int remove_contents(int directory, const char *name, const char *path,
                    const struct removal_terms *terms)
{
    cleanup_names struct names names = NO_NAMES;
    struct stat status;

    if (!terms->made_here && fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        whereabouts_is_claimed(&status, WHEREABOUTS_READ))
        return log_as(-EBUSY,
                      "%s: is what this command reads or writes, under another name by a mount; "
                      "nothing in it is removed",
                      log_path(path));
    cleanup_fd int fd = open_directory(directory, name, terms->dry_run);
    if (fd < 0)
        return fd;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    int r = copy < 0 ? -errno : names_add_listing(&names, copy);
    names_sort_unique(&names);
    for (size_t i = 0; r == 0 && i < names.count; i++) {
        cleanup_free char *inner = NULL;
        if (asprintf(&inner, "%s/%s", path, names_get(&names, i)) < 0)
            return -ENOMEM;
        r = remove_all(fd, names_get(&names, i), inner, terms);
    }
    return r;
}

/* Removes what is no directory. -EISDIR where it is one, or may be. */
static int remove_name(int directory, const char *name, bool dry_run)
{
    struct stat status;

    if (!dry_run && unlinkat(directory, name, 0) < 0)
        return errno == EPERM ? -EISDIR : -errno; /* Linux says EISDIR, others may say EPERM */
    if (dry_run && fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return dry_run && S_ISDIR(status.st_mode) ? -EISDIR : 0;
}

static int remove_directory(int directory, const char *name, const char *path,
                            const struct removal_terms *terms)
{
    int r = remove_contents(directory, name, path, terms);

    if (r == -EACCES && terms->dry_run)
        return 0; /* it would be opened to its owner */
    if (r == 0 && !terms->dry_run && unlinkat(directory, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        r = -errno;
    return r == -ENOTDIR ? -EPERM : r;
}

int remove_all(int directory, const char *name, const char *path, const struct removal_terms *terms)
{
    int r = remove_name(directory, name, terms->dry_run);

    if (r == -EISDIR)
        r = remove_directory(directory, name, path, terms);
    if (r == 0 && terms->removed)
        terms->removed(terms->context, path);
    return r == -ENOENT ? 0 : r;
}
