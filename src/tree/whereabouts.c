/* SPDX-License-Identifier: MIT */
#include "tree/whereabouts.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

bool directory_is_same(const struct directory_id *a, const struct directory_id *b)
{
    return a->device == b->device && a->inode == b->inode;
}

int directory_identify(int fd, struct directory_id *ret)
{
    struct statx status;

    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &status) < 0)
        return -errno;
    *ret =
        (struct directory_id){makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino};
    return 0;
}

/* Opens what exists of the path; the rest begins behind it. -1: nothing can be. */
static int open_nearest(struct whereabouts *place)
{
    size_t length = strlen(place->path);

    for (;;) {
        cleanup_free char *path = strndup(place->path, length > 0 ? length : 1);
        int fd = path ? open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (fd >= 0 || !path || errno != ENOENT || length == 0) {
            place->rest = place->path + length;
            return fd;
        }
        while (length > 0 && place->path[--length] != '/') {
        }
    }
}

static int add_id(struct whereabouts *place, const struct directory_id *id)
{
    struct directory_id *more = reallocarray(place->items, place->count + 1, sizeof *more);

    if (!more)
        return -ENOMEM;
    place->items = more;
    more[place->count++] = *id;
    return 0;
}

/* Parents that may not be looked at are left to the comparison of paths. */
int whereabouts_find(const char *path, struct whereabouts *ret)
{
    struct directory_id id = {0};

    *ret = (struct whereabouts){.path = strdup(path)};
    if (!ret->path)
        return -ENOMEM;
    cleanup_fd int fd = open_nearest(ret);
    while (fd >= 0 && directory_identify(fd, &id) == 0) {
        if (ret->count > 0 && directory_is_same(&id, &ret->items[ret->count - 1]))
            break; /* the root's parent is the root */
        if (add_id(ret, &id) < 0)
            return -ENOMEM;
        int parent = openat(fd, "..", O_PATH | O_CLOEXEC);
        if (parent < 0 && errno == ENOTDIR) { /* a file has no ".." */
            cleanup_free char *folder = strndup(path, (size_t)(strrchr(path, '/') - path) + 1);
            parent = folder ? open(folder, O_PATH | O_CLOEXEC) : -1;
        }
        close(fd);
        fd = parent;
    }
    return 0;
}

void whereabouts_clear(struct whereabouts *place)
{
    free(place->path);
    free(place->items);
    *place = (struct whereabouts){.path = NULL};
}

const char *whereabouts_beneath(const char *path, const char *folder)
{
    size_t length = strlen(folder);

    while (length > 0 && folder[length - 1] == '/')
        length--;
    if (strncmp(path, folder, length) != 0 || (path[length] != '/' && path[length] != '\0'))
        return NULL;
    return path + length + strspn(path + length, "/");
}

/* The last COUNT names of what exists of the path, and the rest. */
static const char *last_names(const struct whereabouts *place, size_t count)
{
    const char *at = place->rest;

    while (count > 0 && at > place->path)
        count -= *--at == '/';
    return at + strspn(at, "/");
}

const char *whereabouts_within(const struct whereabouts *place, const struct whereabouts *folder)
{
    if (!place->path || !folder->path)
        return NULL;
    const char *path = whereabouts_beneath(place->path, folder->path);
    for (size_t i = 0; !path && folder->count > 0 && i < place->count; i++) {
        if (directory_is_same(&place->items[i], &folder->items[0]))
            path = *folder->rest ? i == 0 ? whereabouts_beneath(place->rest, folder->rest) : NULL
                                 : last_names(place, i);
    }
    return path;
}

bool whereabouts_differ_in_device(const struct whereabouts *one, const struct whereabouts *other)
{
    return one->count > 0 && other->count > 0 && one->items[0].device != other->items[0].device;
}

static struct {
    struct {
        struct directory_id id;
        enum whereabouts_use use;
    } * items;
    size_t count;
} claims;

int whereabouts_claim(const char *path, enum whereabouts_use use)
{
    cleanup_fd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct directory_id id = {0};

    int r = fd < 0 ? -errno : directory_identify(fd, &id);
    if (r < 0)
        return r;
    void *more = reallocarray(claims.items, claims.count + 1, sizeof *claims.items);
    if (!more)
        return -ENOMEM;
    claims.items = more;
    claims.items[claims.count].id = id;
    claims.items[claims.count++].use = use;
    return 0;
}

bool whereabouts_is_claimed(const struct stat *status, enum whereabouts_use use)
{
    const struct directory_id id = {status->st_dev, status->st_ino};

    for (size_t i = 0; S_ISDIR(status->st_mode) && i < claims.count; i++) {
        if (claims.items[i].use >= use && directory_is_same(&id, &claims.items[i].id))
            return true;
    }
    return false;
}
