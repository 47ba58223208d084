/* SPDX-License-Identifier: MIT */
#include "tree/metadata.h"

#include "base/bytes.h"
#include "base/io.h"
#include "base/times.h"
#include "tree/mounts.h"
#include "tree/temporary.h"

#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdbool.h>
#include <string.h>

/* An object that was looked at, whatever its name stands for by now. */
struct object {
    int fd;
    bool is_open; /* for more than its name and its place (O_PATH): a new file */
    struct fd_path path;
    struct stat status;
    struct xattrs xattrs;
};

static void close_object(struct object *object)
{
    cleanup_close_fd(&object->fd);
    xattrs_clear(&object->xattrs);
}

static int look_at(int fd, bool is_open, struct object *ret)
{
    *ret = (struct object){.fd = fd, .is_open = is_open};
    if (fd < 0 || fstat(fd, &ret->status) < 0)
        return -errno;
    ret->path = fd_path(fd);
    return is_open ? xattrs_read_open(fd, NULL, &ret->xattrs)
                   : xattrs_read_path(ret->path.text, NULL, &ret->xattrs);
}

static bool same_owner(const struct stat *a, const struct stat *b)
{
    return (geteuid() != 0 || a->st_uid == b->st_uid) && a->st_gid == b->st_gid;
}

/* The mode that WANTED has, without the bits that only mean well together with its owner. */
static mode_t owners_mode(const struct stat *there, const struct stat *wanted)
{
    mode_t mode = wanted->st_mode & 07777;

    if (there->st_uid != wanted->st_uid)
        mode &= ~(mode_t)S_ISUID;
    if (there->st_gid != wanted->st_gid)
        mode &= ~(mode_t)S_ISGID;
    return mode;
}

static bool has_mode(const struct stat *there, mode_t mode)
{
    return S_ISLNK(there->st_mode) || (there->st_mode & 07777) == mode;
}

static bool differs(const struct object *object, const struct metadata *metadata)
{
    const struct stat *there = &object->status, *wanted = &metadata->status;

    return !has_mode(there, owners_mode(there, wanted)) || !same_owner(there, wanted) ||
           !times_agree(&there->st_mtim, &wanted->st_mtim) ||
           !xattrs_are_equal(&object->xattrs, &metadata->xattrs);
}

/*
 * Takes rights from *MODE, unless THERE has the access control list of WANTED (see acl(5)): without
 * it, nobody is to have more than with it.
 */
static void leave_out_list(const struct xattrs *there, const struct xattrs *wanted, mode_t *mode)
{
    static const char name[] = "system.posix_acl_access";
    /* Rights as in one digit of a mode; NAMED: those that all have that are named. */
    unsigned group = 7, mask = 7, named = 7;
    bool has_named = false;
    struct xattr ours, list;

    if (!xattrs_find(wanted, name, &list))
        return;
    if (xattrs_find(there, name, &ours) && ours.size == list.size &&
        memcmp(ours.value, list.value, list.size) == 0)
        return;
    for (size_t at = sizeof(struct posix_acl_xattr_header);
         at + sizeof(struct posix_acl_xattr_entry) <= list.size;
         at += sizeof(struct posix_acl_xattr_entry)) {
        uint32_t head =
            load_le32((const uint8_t *)list.value + at); /* tag and rights, 16 bits each */
        unsigned permitted = head >> 16 & 7, tag = head & 0xffff;
        if (tag == ACL_GROUP_OBJ)
            group = permitted;
        if (tag == ACL_MASK)
            mask = permitted;
        if (tag == ACL_USER || tag == ACL_GROUP) {
            named &= permitted;
            has_named = true;
        }
    }
    named = has_named ? named & mask : 7;
    group &= mask & named;
    *mode &= ~(mode_t)077 | group << 3 | named;
}

/* Errors that another try would not change: the user may not, or the file system cannot. */
static bool is_refusal(int error)
{
    return error == -EPERM || error == -EACCES || error == -EINVAL || error == -ENOTSUP ||
           error == -ENOSYS || error == -E2BIG;
}

/* Notes a refusal, and returns 0 then; other errors are returned. */
static int note(struct metadata_lack *lack, enum metadata_part part, int error)
{
    if (error >= 0 || !is_refusal(error))
        return error;
    if (!lack->parts)
        lack->error = error;
    lack->parts |= part;
    return 0;
}

static int look_again(struct object *object, bool at_xattrs)
{
    if (at_xattrs) {
        xattrs_clear(&object->xattrs);
        int r = xattrs_read_path(object->path.text, NULL, &object->xattrs);
        if (r < 0)
            return r;
    }
    return fstat(object->fd, &object->status) < 0 ? -errno : 0;
}

/* Returns true if it is a lack, and not only natural, that an object has another owner. */
static bool owner_counts(const struct metadata *metadata)
{
    return metadata->owned || geteuid() == 0;
}

/* Returns 1 if something was given, which may have taken attributes away, and bits of the mode. */
static int give_owner(const struct object *object, const struct metadata *metadata)
{
    const struct stat *wanted = &metadata->status;
    uid_t user = geteuid() == 0 ? wanted->st_uid : (uid_t)-1;

    if (same_owner(&object->status, wanted))
        return 0;
    if (fchownat(object->fd, "", user, wanted->st_gid, AT_EMPTY_PATH) < 0)
        return owner_counts(metadata) || !is_refusal(-errno) ? -errno : 0;
    return 1;
}

/* An access control list has its say in the mode. Returns 1 if something was given. */
static int give_xattrs(const struct object *object, const struct metadata *metadata)
{
    /* Users other than root may set attributes only of files that they may write. */
    bool closed = !S_ISLNK(object->status.st_mode) && !(object->status.st_mode & S_IWUSR);

    if (xattrs_are_equal(&object->xattrs, &metadata->xattrs))
        return 0;
    if (closed && geteuid() != 0 && chmod(object->path.text, 0700) < 0)
        return -errno;
    int r = xattrs_write_path(object->path.text, &object->xattrs, &metadata->xattrs);
    return r < 0 ? r : 1;
}

/* By the descriptor where that is possible: a path through /proc costs more than the call. */
static int give_mode(const struct object *object, mode_t mode)
{
    if (has_mode(&object->status, mode))
        return 0;
    int r = object->is_open ? fchmod(object->fd, mode) : chmod(object->path.text, mode);
    return r < 0 ? -errno : 0;
}

/* Both times: where just one is set (UTIME_OMIT), FUSE servers of libfuse 2 may do nothing. */
static int give_time(const struct object *object, const struct timespec *wanted)
{
    const struct timespec times[] = {object->status.st_atim, *wanted};
    const struct timespec *there = &object->status.st_mtim;

    if (object->is_open ? times_compare(there, wanted) == 0 : times_agree(there, wanted))
        return 0;
    int r = object->is_open ? futimens(object->fd, times)
                            : utimensat(AT_FDCWD, object->path.text, times, 0);
    return r < 0 ? -errno : 0;
}

/* Notes what the file system took but did not keep, and owners that only root could have set. */
static void note_unkept(const struct object *object, const struct metadata *metadata,
                        struct metadata_lack *lack)
{
    const struct stat *there = &object->status, *wanted = &metadata->status;
    bool strict = owner_counts(metadata);
    mode_t mode = strict ? wanted->st_mode & 07777 : owners_mode(there, wanted);

    if (strict && (there->st_uid != wanted->st_uid || there->st_gid != wanted->st_gid)) {
        lack->error = lack->parts || geteuid() == 0 ? lack->error : -EPERM;
        lack->parts |= METADATA_OWNER;
    }
    lack->parts |= has_mode(there, mode) ? 0u : METADATA_MODE;
    lack->parts |= times_agree(&there->st_mtim, &wanted->st_mtim) ? 0u : METADATA_TIME;
}

/*
 * Later steps undo what earlier ones do to bits of the mode, and to times. A look that fails is an
 * error and no refusal: what is there then is not known.
 */
static int apply(struct object *object, const struct metadata *metadata, struct metadata_lack *lack)
{
    const struct stat *wanted = &metadata->status, *there = &object->status;
    const struct stat before = *there;
    bool new_xattrs = !xattrs_are_equal(&object->xattrs, &metadata->xattrs);

    int r = note(lack, METADATA_OWNER, give_owner(object, metadata));
    if (r > 0)
        r = look_again(object, metadata->xattrs.size > 0);
    if (r == 0)
        r = note(lack, METADATA_ATTRIBUTES, give_xattrs(object, metadata));
    bool refused = lack->parts & METADATA_ATTRIBUTES;
    if (r > 0 || (r == 0 && refused))
        r = look_again(object, refused);
    if (r < 0)
        return r;
    mode_t mode = owners_mode(there, wanted);
    if (refused)
        leave_out_list(&object->xattrs, &metadata->xattrs, &mode);
    r = note(lack, METADATA_MODE, give_mode(object, mode));
    if (r == 0)
        r = note(lack, METADATA_TIME, give_time(object, &wanted->st_mtim));
    if (r == 0)
        r = look_again(object, false);
    if (r < 0)
        return r;
    note_unkept(object, metadata, lack);
    return (new_xattrs && !refused) || before.st_mode != there->st_mode ||
           before.st_uid != there->st_uid || before.st_gid != there->st_gid ||
           times_compare(&before.st_mtim, &there->st_mtim) != 0;
}

/*
 * Returns true if a symlink in DIRECTORY has an owner and times of its own. Where the server of a
 * FUSE file system gives them to what the symlink leads to instead, as sshfs's does, none of them
 * may be touched. One that leads to itself tells, and harms nothing.
 */
static bool symlinks_are_own(int directory)
{
    const struct timespec times[] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    char name[TEMPORARY_NAME_SIZE];
    struct stat status;

    temporary_name(name);
    if (symlinkat(name, directory, name) < 0)
        return false;
    bool own = utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW) == 0 &&
               fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
               times_agree(&status.st_mtim, &times[1]);
    unlinkat(directory, name, 0);
    return own;
}

int metadata_apply(int directory, const char *name, const struct metadata *metadata, bool dry_run,
                   struct metadata_lack *ret_lack)
{
    CLEANUP(close_object) struct object object;

    *ret_lack = (struct metadata_lack){0, 0};
    int r = look_at(openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), false, &object);
    bool wrong = r == 0 && differs(&object, metadata);
    if (r < 0 || dry_run)
        return r < 0 ? r : wrong;
    if (wrong && S_ISLNK(object.status.st_mode))
        r = mounts_is_remote(object.status.st_dev);
    if (r <= 0 || symlinks_are_own(directory))
        return r < 0 ? r : apply(&object, metadata, ret_lack);
    note_unkept(&object, metadata, ret_lack);
    if (!xattrs_are_equal(&object.xattrs, &metadata->xattrs))
        ret_lack->parts |= METADATA_ATTRIBUTES;
    ret_lack->error = -ENOTSUP;
    return 0;
}

int metadata_apply_open(int fd, const struct metadata *metadata, struct stat *ret_status,
                        struct metadata_lack *ret_lack)
{
    struct object object;

    *ret_lack = (struct metadata_lack){0, 0};
    int r = look_at(fd, true, &object);
    if (r == 0) {
        *ret_status = object.status;
        r = apply(&object, metadata, ret_lack);
    }
    xattrs_clear(&object.xattrs);
    return r;
}
