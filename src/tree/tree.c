/* SPDX-License-Identifier: MIT */
#include "tree/tree.h"

#include "base/io.h"
#include "tree/mounts.h"
#include "tree/pictures.h"
#include "tree/whereabouts.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

enum {
    /* Longer paths are refused: a tree must not be able to make the walk through it endless. */
    PATH_LENGTH_MAX = 1 << 16,
    PLACE_FLAGS = O_PATH | O_NOFOLLOW | O_CLOEXEC,
};

/* The file systems that are entered besides the root's. */
enum walk_reach {
    WALK_ANYWHERE,
    WALK_NO_PSEUDO, /* but for those that hold no one's data */
    WALK_NOWHERE,   /* none */
};

struct tree {
    uint64_t number; /* of no other tree of this process, also later */
    int root;
    dev_t device;   /* of the root */
    uint64_t mount; /* the number of the root's; 0: not known, or it is remote */
    bool remote;
    bool pictures; /* see tree_take_pictures */
    enum walk_reach reach;
    char name[];
};

/* Where a path leads. */
struct place {
    int fd;      /* O_PATH; -1: on the file system that is avoided */
    bool closed; /* the root of another file system, which is not entered */
};

#define NO_PLACE ((struct place){.fd = -1})

static void clear_place(struct place *place)
{
    cleanup_close_fd(&place->fd);
}

#define cleanup_place CLEANUP(clear_place)

/* The file system that is not asked: see tree_avoid. */
static struct {
    atomic_bool set; /* after the rest: threads may be walking already */
    dev_t device;
    struct stat covered;
} avoided;

void tree_avoid(dev_t device, const struct stat *covered)
{
    avoided.covered = *covered;
    avoided.device = device;
    atomic_store(&avoided.set, true);
}

static bool is_avoided(dev_t device)
{
    return atomic_load(&avoided.set) && device == avoided.device;
}

/* Opens PATH beneath ROOT, if it stays on ROOT's mount and fits PATH_MAX. */
static int open_beneath(int root, const char *path, int flags)
{
    struct open_how how = {
        .flags = (unsigned)flags,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };

    long fd = syscall(SYS_openat2, root, path, &how, sizeof how);
    return fd < 0 ? -errno : (int)fd;
}

/*
 * Opens PATH beneath ROOT for reading, by open(2)'s FLAGS, if it lies on ROOT's own mount. No
 * symlink is followed, and a FIFO is not waited for. Returns the descriptor or a negative errno;
 * what cannot be opened in this way may be by walk.
 */
static int walk_open(int root, const char *path, int flags)
{
    if (path_goes_up(path))
        return -EXDEV;
    flags |= O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC;
    int fd = open_beneath(root, path, flags | O_NOATIME);

    return fd == -EPERM ? open_beneath(root, path, flags) : fd;
}

/* Returns 1 if the walk ends at the root of file system DEVICE, else 0; or a shortage. */
static int is_closed(const struct tree *tree, dev_t device)
{
    if (is_avoided(device))
        return 1;
    if (device == tree->device || tree->reach == WALK_ANYWHERE)
        return 0;
    return tree->reach == WALK_NOWHERE ? 1 : mounts_is_pseudo(device);
}

/* Name by name: across mounts, along paths of any length, and without openat2. */
static int walk_by_steps(const struct tree *tree, const char *path, struct place *ret)
{
    cleanup_place struct place at = NO_PLACE;
    struct directory_id there = {0};
    char name[NAME_MAX + 1];
    int r = 0;

    while (r == 0 && *path) {
        if (at.closed)
            return -ENOENT;
        size_t length = strcspn(path, "/");
        if (length > NAME_MAX)
            return -ENAMETOOLONG;
        *(char *)mempcpy(name, path, length) = '\0';
        path += length + (path[length] == '/');
        int fd = openat(at.fd < 0 ? tree->root : at.fd, name, PLACE_FLAGS);
        if (fd < 0)
            return -errno;
        cleanup_close_fd(&at.fd);
        at.fd = fd;
        r = directory_identify(fd, &there);
        if (r == 0)
            r = is_closed(tree, there.device);
        at.closed = r > 0;
        r = r < 0 ? r : 0;
    }
    if (r < 0)
        return r;
    bool askable = !at.closed || !is_avoided(there.device);
    *ret = (struct place){.fd = askable ? steal_fd(&at.fd) : -1, .closed = at.closed};
    return 0;
}

/*
 * Goes to PATH in the tree. No symlink is followed; one at the path's end is the place itself.
 * -ENOENT, also for what lies beyond a closed place; -ENOTDIR where something on the way is no
 * directory, a symlink for example; -EXDEV for ".."; ...
 */
static int walk(const struct tree *tree, const char *path, struct place *ret)
{
    cleanup_free char *spelled = NULL;

    int r = tree->pictures ? pictures_spell(path, &spelled) : 0;
    if (r < 0)
        return r;
    path = spelled ? spelled : path;
    if (strlen(path) > PATH_LENGTH_MAX)
        return -ENAMETOOLONG;
    if (path_goes_up(path))
        return -EXDEV;
    path = *path ? path : ".";
    int fd = open_beneath(tree->root, path, PLACE_FLAGS);

    switch (fd) {
    case -EXDEV:        /* a mount lies on the way */
    case -ENAMETOOLONG: /* more than PATH_MAX */
    case -EAGAIN:       /* something was renamed meanwhile */
    case -ENOSYS:       /* Linux before 5.6 */
    case -EPERM:        /* a sandbox that does not know openat2 */
        return walk_by_steps(tree, path, ret);
    case -ELOOP:
        return -ENOTDIR;
    default:
        if (fd < 0)
            return fd;
        *ret = (struct place){.fd = fd};
        return 0;
    }
}

/*
 * Directories that a thread is busy in. It says that it looks at many names of one, and goes there
 * but once; a name in it then costs one system call instead of three. That the directory is renamed
 * meanwhile is not seen, as it would not be by a single listing.
 */

struct nearby {
    uint64_t tree; /* whose directory it is */
    char *path;
    int fd; /* O_PATH, and on the tree's own mount; below 0: there is none */
};

/* Of each tree, the directory that this thread asked for last. */
static _Thread_local struct {
    bool busy;
    bool regular; /* see tree_expect */
    struct nearby *items;
    size_t count;
} here;

void tree_stay_nearby(void)
{
    here.busy = true;
}

void tree_expect(bool regular)
{
    here.regular = regular;
}

static void leave(struct nearby *nearby)
{
    cleanup_close_fd(&nearby->fd);
    free(nearby->path);
    nearby->fd = -1;
    nearby->path = NULL;
}

void tree_leave_nearby(void)
{
    for (size_t i = 0; i < here.count; i++)
        leave(&here.items[i]);
    free(here.items);
    memset(&here, 0, sizeof here);
}

/* The item of TREE, which may be a new one; NULL where there is no memory. */
static struct nearby *item_of(uint64_t tree)
{
    for (size_t i = 0; i < here.count; i++) {
        if (here.items[i].tree == tree)
            return &here.items[i];
    }
    struct nearby *more = reallocarray(here.items, here.count + 1, sizeof *more);
    if (!more)
        return NULL;
    here.items = more;
    more[here.count] = (struct nearby){.tree = tree, .fd = -1};
    return &more[here.count++];
}

/* Returns the number of the mount that FD lies on; 0: the kernel does not tell. */
static uint64_t mount_of(int fd)
{
    struct statx status;

    int r = statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &status);
    return r == 0 && status.stx_mask & STATX_MNT_ID ? status.stx_mnt_id : 0;
}

/*
 * Returns the directory of PATH (O_PATH), valid until the next call, and its name in there. Below 0
 * where the thread is not busy, or where PATH is to be walked to for another reason.
 */
static int nearby_of(const struct tree *tree, const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t length = slash ? (size_t)(slash - path) : 0;
    cleanup_place struct place place = NO_PLACE;

    if (tree->mount == 0 || tree->pictures || !here.busy || *name == '\0' ||
        strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -1;
    struct nearby *nearby = item_of(tree->number);
    if (!nearby)
        return -1;
    *ret_name = name;
    if (nearby->path && strncmp(nearby->path, path, length) == 0 && !nearby->path[length])
        return nearby->fd;
    leave(nearby);
    nearby->path = strndup(path, length);
    if (nearby->path && walk(tree, nearby->path, &place) == 0 && place.fd >= 0 &&
        mount_of(place.fd) == tree->mount)
        nearby->fd = steal_fd(&place.fd);
    return nearby->fd;
}

dev_t tree_device(const struct tree *tree)
{
    return tree->device;
}

int tree_open(const char *path, struct tree **ret)
{
    static atomic_ullong number;
    cleanup_fd int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct directory_id id;

    if (root < 0)
        return -errno;
    int r = directory_identify(root, &id);
    if (r < 0 || is_avoided(id.device))
        return r < 0 ? r : -ENOTDIR;
    int remote = mounts_is_remote(id.device);
    if (remote < 0)
        return remote;
    struct tree *tree = malloc(sizeof *tree + strlen(path) + 1);
    if (!tree)
        return -ENOMEM;
    tree->number = atomic_fetch_add(&number, 1);
    tree->root = steal_fd(&root);
    tree->device = id.device;
    tree->mount = remote ? 0 : mount_of(tree->root);
    tree->remote = remote;
    tree->pictures = false;
    tree->reach = WALK_ANYWHERE;
    strcpy(tree->name, path);
    *ret = tree;
    return 0;
}

bool tree_is_remote(const struct tree *tree)
{
    return tree->remote;
}

void tree_close(struct tree *tree)
{
    close(tree->root);
    free(tree);
}

void tree_take_pictures(struct tree *tree)
{
    tree->pictures = true;
}

void tree_stay(struct tree *tree, bool all)
{
    tree->reach = all ? WALK_NOWHERE : WALK_NO_PSEUDO;
}

/* As both are remembered now: another inode may be known of a mount's root once that was asked. */
static bool is_one_directory(int first, int second)
{
    struct directory_id a, b;

    return directory_identify(first, &a) == 0 && directory_identify(second, &b) == 0 &&
           directory_is_same(&a, &b);
}

bool tree_is_at(const struct tree *tree, const char *path)
{
    cleanup_fd int place = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return place >= 0 && is_one_directory(tree->root, place);
}

bool tree_is_same(const struct tree *tree, const struct tree *other)
{
    return is_one_directory(tree->root, other->root);
}

const char *tree_name(const struct tree *tree)
{
    return tree->name;
}

static int status_of(const struct place *place, struct stat *ret)
{
    if (place->fd < 0)
        *ret = avoided.covered;
    else if (fstat(place->fd, ret) < 0)
        return -errno;
    if (place->closed)
        ret->st_nlink = 2; /* there are no directories in it */
    return 0;
}

static struct timespec time_of(const struct statx_timestamp *time)
{
    return (struct timespec){.tv_sec = time->tv_sec, .tv_nsec = time->tv_nsec};
}

static struct stat stat_of(const struct statx *status)
{
    return (struct stat){
        .st_dev = makedev(status->stx_dev_major, status->stx_dev_minor),
        .st_ino = status->stx_ino,
        .st_mode = status->stx_mode,
        .st_nlink = status->stx_nlink,
        .st_uid = status->stx_uid,
        .st_gid = status->stx_gid,
        .st_rdev = makedev(status->stx_rdev_major, status->stx_rdev_minor),
        .st_size = (off_t)status->stx_size,
        .st_blksize = (blksize_t)status->stx_blksize,
        .st_blocks = (blkcnt_t)status->stx_blocks,
        .st_atim = time_of(&status->stx_atime),
        .st_mtim = time_of(&status->stx_mtime),
        .st_ctim = time_of(&status->stx_ctime),
    };
}

/*
 * Of NAME in a directory, unless something is mounted there: -EXDEV. What is mounted is not asked,
 * and what the kernel remembers of a file of its own is all there is to know.
 */
static int stat_nearby(const struct tree *tree, int directory, const char *name, struct stat *ret)
{
    enum {
        MASK = STATX_BASIC_STATS | STATX_MNT_ID,
        FLAGS = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
    };
    struct statx status;

    if (statx(directory, name, FLAGS, MASK, &status) < 0)
        return -errno;
    if ((status.stx_mask & MASK) != MASK || status.stx_mnt_id != tree->mount)
        return -EXDEV;
    *ret = stat_of(&status);
    return 0;
}

int tree_stat(const struct tree *tree, const char *path, struct stat *ret)
{
    cleanup_place struct place place = NO_PLACE;
    const char *name;

    int directory = nearby_of(tree, path, &name);
    int r = directory >= 0 ? stat_nearby(tree, directory, name, ret) : -EXDEV;
    if (r != -EXDEV)
        return r;
    r = walk(tree, path, &place);
    return r < 0 ? r : status_of(&place, ret);
}

/* Opens without touching the time of the last access where that is permitted. */
static int open_place(int place, int flags)
{
    struct fd_path path = fd_path(place);

    int fd = open(path.text, flags | O_RDONLY | O_CLOEXEC | O_NOATIME);
    if (fd < 0 && errno == EPERM)
        fd = open(path.text, flags | O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Of the symlink NAME in a directory, or, where it is "", of the place itself. */
static int read_target(int place, const char *name, char **ret)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(place, name, target, sizeof target);

    if (length < 0)
        return errno == ENOENT ? -EINVAL : -errno; /* so says Linux of what is no symlink */
    char *copy = strndup(target, (size_t)length);
    if (!copy)
        return -ENOMEM;
    *ret = copy;
    return 0;
}

/*
 * Opens PATH beneath DIRECTORY, which was a regular file just now, or when that was listed. What
 * has taken its place meanwhile is not waited for (O_NONBLOCK), and is no answer: -EXDEV.
 */
static int open_regular(int directory, const char *path, struct stat *ret_status, int *ret_fd)
{
    cleanup_fd int fd = walk_open(directory, path, 0);

    if (fd < 0 || fstat(fd, ret_status) < 0 || !S_ISREG(ret_status->st_mode))
        return -EXDEV;
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int look_nearby(const struct tree *tree, int directory, const char *name,
                       struct tree_object *object)
{
    cleanup_fd int fd = -1;
    struct stat status;

    if (here.regular && open_regular(directory, name, &object->status, &object->fd) == 0)
        return 0;
    int r = stat_nearby(tree, directory, name, &object->status);
    if (r == 0 && S_ISLNK(object->status.st_mode) &&
        read_target(directory, name, &object->target) < 0)
        return -EXDEV; /* something else has taken its place */
    if (r < 0 || !S_ISREG(object->status.st_mode))
        return r;
    if (open_regular(directory, name, &status, &fd) < 0 || status.st_ino != object->status.st_ino ||
        status.st_dev != object->status.st_dev)
        return -EXDEV;
    object->status = status;
    object->fd = steal_fd(&fd);
    return 0;
}

static int look_at(const struct place *place, struct tree_object *object)
{
    int r = status_of(place, &object->status);

    if (r < 0 || place->closed)
        return r;
    if (S_ISLNK(object->status.st_mode))
        r = read_target(place->fd, "", &object->target);
    if (S_ISREG(object->status.st_mode)) {
        object->fd = open_place(place->fd, 0);
        object->open_error = object->fd < 0 ? object->fd : 0;
    }
    return r;
}

int tree_look(const struct tree *tree, const char *path, struct tree_object *ret)
{
    cleanup_place struct place place = NO_PLACE;
    struct tree_object object = {.fd = -1};
    const char *name;

    int directory = nearby_of(tree, path, &name);
    int r = directory >= 0 ? look_nearby(tree, directory, name, &object) : -EXDEV;
    if (r == -EXDEV) {
        r = walk(tree, path, &place);
        if (r == 0)
            r = look_at(&place, &object);
    }
    if (r == 0)
        *ret = object;
    return r;
}

void tree_object_clear(struct tree_object *object)
{
    free(object->target);
    cleanup_close_fd(&object->fd);
}

int tree_open_file(const struct tree *tree, const char *path, struct stat *ret_stat, int *ret_fd)
{
    CLEANUP(tree_object_clear) struct tree_object object = {.fd = -1};
    cleanup_place struct place place = NO_PLACE;

    int r = tree->pictures ? -EXDEV : open_regular(tree->root, path, ret_stat, ret_fd);
    if (r != -EXDEV)
        return r;
    r = walk(tree, path, &place);
    if (r == 0)
        r = look_at(&place, &object);
    if (r < 0)
        return r;
    if (place.closed || !S_ISREG(object.status.st_mode))
        return place.closed || S_ISDIR(object.status.st_mode) ? -EISDIR : -EINVAL;
    if (object.fd < 0)
        return object.open_error;
    *ret_stat = object.status;
    *ret_fd = steal_fd(&object.fd);
    return 0;
}

int tree_open_directory(const struct tree *tree, const char *path, int *ret_fd)
{
    cleanup_place struct place place = NO_PLACE;
    struct stat status;

    int r = walk(tree, path, &place);
    if (r < 0)
        return r;
    if (place.closed || fstat(place.fd, &status) < 0)
        return place.closed ? -EACCES : -errno;
    if (!S_ISDIR(status.st_mode))
        return -ENOTDIR;
    *ret_fd = steal_fd(&place.fd);
    return 0;
}

int tree_read_link(const struct tree *tree, const char *path, char **ret)
{
    cleanup_place struct place place = NO_PLACE;

    int r = walk(tree, path, &place);
    if (r < 0)
        return r;
    return place.closed ? -EINVAL : read_target(place.fd, "", ret);
}

/* What another program than rclone shows stays as it is: no other name would lead there. */
static int undo_pictures(struct names *names, size_t first)
{
    int r = 0;

    for (size_t i = first; r == 0 && i < names->count; i++) {
        cleanup_free char *undone = strdup(names_get(names, i)), *spelled = NULL;
        if (!undone)
            return -ENOMEM;
        pictures_undo(undone);
        r = pictures_spell(undone, &spelled);
        if (r == 0 && strcmp(spelled ? spelled : undone, names_get(names, i)) == 0)
            strcpy(names->bytes + names->items[i].start, undone); /* it is no longer */
    }
    return r;
}

int tree_list(const struct tree *tree, const char *path, struct names *names)
{
    cleanup_place struct place place = NO_PLACE;
    const size_t first = names->count;

    int fd = tree->pictures ? -EXDEV : walk_open(tree->root, *path ? path : ".", O_DIRECTORY);
    if (fd < 0) {
        int r = walk(tree, path, &place);
        if (r < 0 || place.closed)
            return r;
        fd = open_place(place.fd, O_DIRECTORY);
    }
    int r = fd < 0 ? fd : names_add_listing(names, fd);
    return r == 0 && tree->pictures ? undo_pictures(names, first) : r;
}

int tree_get_xattr(const struct tree *tree, const char *path, const char *name, void *value,
                   size_t size, size_t *ret)
{
    cleanup_place struct place place = NO_PLACE;
    ssize_t there = 0;
    int r = walk(tree, path, &place);

    if (r < 0 || (place.closed && name))
        return r < 0 ? r : -ENODATA;
    if (!place.closed) {
        const struct fd_path to = fd_path(place.fd);
        there = name ? getxattr(to.text, name, value, size) : listxattr(to.text, value, size);
    }
    if (there < 0)
        return -errno;
    *ret = (size_t)there;
    return 0;
}

int tree_read_xattrs(const struct tree *tree, const char *path, const char *name,
                     struct xattrs *ret)
{
    cleanup_place struct place place = NO_PLACE;

    *ret = NO_XATTRS;
    int r = walk(tree, path, &place);
    return r < 0 || place.closed ? r : xattrs_read_path(fd_path(place.fd).text, name, ret);
}

int tree_statfs(const struct tree *tree, struct statvfs *ret)
{
    return fstatvfs(tree->root, ret) < 0 ? -errno : 0;
}
