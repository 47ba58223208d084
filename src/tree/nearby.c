/* SPDX-License-Identifier: MIT */
#include "tree/nearby.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Of each tree, the directory that this thread asked for last. */
static _Thread_local struct {
    bool busy;
    struct nearby *items;
    size_t count;
    size_t expected; /* the item that is likely asked for next: trees are asked in turn */
} here;

void nearby_begin(void)
{
    here.busy = true;
}

static void leave(struct nearby *nearby)
{
    cleanup_close_fd(&nearby->fd);
    free(nearby->path);
    nearby->fd = -1;
    nearby->path = NULL;
}

void nearby_end(void)
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
        size_t at = (here.expected + i) % here.count;
        if (here.items[at].tree == tree) {
            here.expected = at + 1;
            return &here.items[at];
        }
    }
    struct nearby *more = reallocarray(here.items, here.count + 1, sizeof *more);
    if (!more)
        return NULL;
    here.items = more;
    more[here.count] = (struct nearby){.tree = tree, .fd = -1};
    return &more[here.count++];
}

static bool mount_of(int fd, uint64_t *ret)
{
    struct statx status;

    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &status) < 0 ||
        !(status.stx_mask & STATX_MNT_ID))
        return false;
    *ret = status.stx_mnt_id;
    return true;
}

/* Goes to the directory PATH beneath ROOT. Returns true if it could, and on the root's own mount.
 */
static bool enter_directory(struct nearby *nearby, int root, const char *path, size_t length)
{
    cleanup_place struct place place = NO_PLACE;
    uint64_t home;

    leave(nearby);
    nearby->path = strndup(path, length);
    if (!nearby->path || walk_beneath(root, nearby->path, WALK_NOWHERE, &place) < 0 ||
        place.fd < 0 || !mount_of(root, &home) || !mount_of(place.fd, &nearby->mount) ||
        nearby->mount != home)
        return false;
    nearby->fd = steal_fd(&place.fd);
    return true;
}

static bool is_in(const struct nearby *nearby, const char *path, size_t length)
{
    return nearby->path && strncmp(nearby->path, path, length) == 0 && !nearby->path[length];
}

const struct nearby *nearby_find(uint64_t tree, int root, const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t length = slash ? (size_t)(slash - path) : 0;

    if (!here.busy || *name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return NULL;
    struct nearby *nearby = item_of(tree);
    if (!nearby)
        return NULL;
    if (!is_in(nearby, path, length) && !enter_directory(nearby, root, path, length))
        return NULL;
    *ret_name = name;
    return nearby->fd >= 0 ? nearby : NULL;
}
