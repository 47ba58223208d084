/* SPDX-License-Identifier: MIT */
#include "tree/metadata.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>

/* An object that was looked at, whatever its name stands for by now. */
struct object {
    int fd;
    bool is_open; /* for more than its name and its place (O_PATH) */
    char path[sizeof "/proc/self/fd/" + 3 * sizeof(int)];
    struct stat status;
    struct xattrs xattrs;
};

static void close_object(struct object *object)
{
    cleanup_close_fd(&object->fd);
    xattrs_clear(&object->xattrs);
}

static bool same_mode(const struct stat *a, const struct stat *b)
{
    return S_ISLNK(a->st_mode) || (a->st_mode & 07777) == (b->st_mode & 07777);
}

static bool same_owner(const struct stat *a, const struct stat *b)
{
    return (geteuid() != 0 || a->st_uid == b->st_uid) && a->st_gid == b->st_gid;
}

static bool same_time(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* -ENOTSUP where the file system has no xattrs means that there are none. */
static int look_at(int fd, bool is_open, struct object *ret)
{
    *ret = (struct object){.fd = fd, .is_open = is_open};
    if (fd < 0 || fstat(fd, &ret->status) < 0)
        return -errno;
    snprintf(ret->path, sizeof ret->path, "/proc/self/fd/%d", fd);
    return is_open ? xattrs_read_open(fd, &ret->xattrs) : xattrs_read_path(ret->path, &ret->xattrs);
}

static int open_object(int directory, const char *name)
{
    return openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

int metadata_differs(int directory, const char *name, const struct metadata *metadata)
{
    CLEANUP(close_object) struct object object;
    const struct stat *wanted = &metadata->status;

    int r = look_at(open_object(directory, name), false, &object);
    if (r < 0)
        return r;
    return !same_mode(&object.status, wanted) || !same_owner(&object.status, wanted) ||
           !same_time(&object.status, wanted) ||
           !xattrs_are_equal(&object.xattrs, &metadata->xattrs);
}

/* Who is not root may not give what is his to others, and may not be in its group: then 0, else 1.
 */
static int apply_owner(const struct object *object, const struct stat *wanted)
{
    uid_t user = geteuid() == 0 ? wanted->st_uid : (uid_t)-1;

    if (fchownat(object->fd, "", user, wanted->st_gid, AT_EMPTY_PATH) == 0)
        return 1;
    return errno == EPERM && geteuid() != 0 ? 0 : -errno;
}

static int apply_xattrs(const struct object *object, const struct xattrs *wanted)
{
    /* Who is not root may write attributes only where he may write. */
    bool closed = !S_ISLNK(object->status.st_mode) && !(object->status.st_mode & S_IWUSR);

    if (closed && geteuid() != 0 && chmod(object->path, 0700) < 0)
        return -errno;
    return xattrs_write_path(object->path, &object->xattrs, wanted);
}

/* By the descriptor where that is possible: a path through /proc costs more than the call. */
static int set_mode(const struct object *object, mode_t mode)
{
    int r = object->is_open ? fchmod(object->fd, mode) : chmod(object->path, mode);

    return r < 0 ? -errno : 0;
}

static int set_times(const struct object *object, const struct timespec times[2])
{
    int r =
        object->is_open ? futimens(object->fd, times) : utimensat(AT_FDCWD, object->path, times, 0);

    return r < 0 ? -errno : 0;
}

/* Later steps undo what earlier ones do to bits of the mode, and to times. */
static int apply(struct object *object, const struct metadata *metadata)
{
    const struct stat *wanted = &metadata->status;
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, wanted->st_mtim};
    bool new_owner = !same_owner(&object->status, wanted);
    bool new_xattrs = !xattrs_are_equal(&object->xattrs, &metadata->xattrs);
    bool new_mode = !same_mode(&object->status, wanted);
    bool new_time = !same_time(&object->status, wanted);
    int r = 0;

    if (new_owner) {
        r = apply_owner(object, wanted);
        new_owner = r > 0;
    }
    if (r >= 0 && (new_xattrs || (new_owner && metadata->xattrs.size > 0))) {
        xattrs_clear(&object->xattrs); /* a new owner takes some away */
        r = xattrs_read_path(object->path, &object->xattrs);
        if (r == 0)
            r = apply_xattrs(object, &metadata->xattrs);
    }
    if (r >= 0 && !S_ISLNK(wanted->st_mode) && (new_mode || new_owner || new_xattrs))
        r = set_mode(object, wanted->st_mode & 07777);
    if (r >= 0 && new_time)
        r = set_times(object, times);
    return r < 0 ? r : new_owner || new_xattrs || new_mode || new_time;
}

int metadata_apply(int directory, const char *name, const struct metadata *metadata)
{
    CLEANUP(close_object) struct object object;

    int r = look_at(open_object(directory, name), false, &object);
    return r < 0 ? r : apply(&object, metadata);
}

int metadata_apply_open(int fd, const struct metadata *metadata, struct stat *ret_status)
{
    struct object object;

    int r = look_at(fd, true, &object);
    if (r == 0) {
        *ret_status = object.status;
        r = apply(&object, metadata);
    }
    xattrs_clear(&object.xattrs);
    return r;
}
