/* SPDX-License-Identifier: MIT */
#include "base/xattrs.h"

#include "base/io.h"
#include "base/names.h"

#include <linux/limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/xattr.h>

enum {
    ROOM_AT_FIRST = 1024,      /* bytes: most are fewer, and then one call is enough */
    ROOM_MAX = XATTR_SIZE_MAX, /* the kernel gives no more, of a value or of all names */
};

bool xattrs_next(const struct xattrs *xattrs, const char **at, struct xattr *ret)
{
    if (!*at || *at == xattrs->bytes + xattrs->size)
        return false;
    ret->name = *at;
    const char *size = ret->name + strlen(ret->name) + 1;
    memcpy(&ret->size, size, sizeof ret->size);
    ret->value = size + sizeof ret->size;
    *at = ret->value + ret->size;
    return true;
}

bool xattrs_find(const struct xattrs *xattrs, const char *name, struct xattr *ret)
{
    const char *at = xattrs->bytes;

    while (xattrs_next(xattrs, &at, ret)) {
        if (strcmp(ret->name, name) == 0)
            return true;
    }
    return false;
}

/* As rsync -AX has it. */
static bool is_kept(const char *name)
{
    static const char lists[] = "system.posix_acl_";

    if (strncmp(name, "system.", strlen("system.")) == 0)
        return strncmp(name, lists, strlen(lists)) == 0;
    return strncmp(name, "user.", strlen("user.")) == 0 || geteuid() == 0;
}

/*
 * Reads the value of NAME, or (NULL) all names with a NUL behind each, to bytes that the caller
 * frees. One NUL more comes behind them, which is not counted. As getxattr(2) and listxattr(2):
 * -ENODATA, -ENOTSUP, ...
 */
static int read_bytes(const char *path, const char *name, char **ret, size_t *ret_size)
{
    for (size_t room = ROOM_AT_FIRST;; room = ROOM_MAX) {
        cleanup_free char *bytes = malloc(room + 1);
        if (!bytes)
            return -ENOMEM;
        ssize_t size = name ? getxattr(path, name, bytes, room) : listxattr(path, bytes, room);
        if (size < 0 && errno == ERANGE && room < ROOM_MAX)
            continue;
        if (size < 0 || size > (ssize_t)room)
            return size < 0 ? -errno : -EIO;
        bytes[size] = '\0';
        *ret = steal_pointer(bytes);
        *ret_size = (size_t)size;
        return 0;
    }
}

int xattrs_add(struct xattrs *xattrs, const char *name, const char *value, size_t size)
{
    size_t name_size = strlen(name) + 1;
    uint32_t value_size = (uint32_t)size;

    char *bytes = realloc(xattrs->bytes, xattrs->size + name_size + sizeof value_size + size);
    if (!bytes)
        return -ENOMEM;
    xattrs->bytes = bytes;
    char *end = mempcpy(bytes + xattrs->size, name, name_size);
    end = mempcpy(end, &value_size, sizeof value_size);
    if (size > 0)
        end = mempcpy(end, value, size);
    xattrs->size = (size_t)(end - bytes);
    return 0;
}

/* Adds the value of NAME, where it is there. */
static int read_one(const char *path, const char *name, struct xattrs *ret)
{
    cleanup_free char *value = NULL;
    size_t size = 0;

    int r = read_bytes(path, name, &value, &size);
    if (r == -ENODATA)
        return 0;
    return r < 0 ? r : xattrs_add(ret, name, value, size);
}

int xattrs_read_path(const char *path, const char *name, struct xattrs *ret)
{
    cleanup_names struct names names = NO_NAMES;
    cleanup_free char *list = NULL;
    size_t size = 0;
    int r;

    *ret = NO_XATTRS;
    if (name) {
        r = is_kept(name) ? read_one(path, name, ret) : 0;
        r = r == -ENOTSUP ? 0 : r;
        /* Where there are no attributes at all, the kernel says of an access control list just that
         * there is none. */
        ret->impossible =
            r == 0 && ret->size == 0 && listxattr(path, NULL, 0) < 0 && errno == ENOTSUP;
        return r;
    }
    r = read_bytes(path, NULL, &list, &size);
    ret->impossible = r == -ENOTSUP;
    if (r < 0)
        return r == -ENOTSUP ? 0 : r;
    for (const char *at = list; r == 0 && at < list + size; at += strlen(at) + 1)
        r = is_kept(at) ? names_add(&names, at) : 0;
    names_sort_unique(&names);
    for (size_t i = 0; r == 0 && i < names.count; i++)
        r = read_one(path, names_get(&names, i), ret);
    return r;
}

int xattrs_read_open(int fd, const char *name, struct xattrs *ret)
{
    *ret = NO_XATTRS;
    if (flistxattr(fd, NULL, 0) == 0)
        return 0;
    return xattrs_read_path(fd_path(fd).text, name, ret);
}

bool xattrs_are_equal(const struct xattrs *a, const struct xattrs *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->bytes, b->bytes, a->size) == 0);
}

int xattrs_write_path(const char *path, const struct xattrs *old, const struct xattrs *new)
{
    struct xattr entry, other;
    int r = 0;

    for (const char *at = old->bytes; xattrs_next(old, &at, &entry);) {
        if (!xattrs_find(new, entry.name, &other) && removexattr(path, entry.name) < 0 &&
            errno != ENODATA && r == 0)
            r = -errno;
    }
    for (const char *at = new->bytes; xattrs_next(new, &at, &entry);) {
        bool has_it = xattrs_find(old, entry.name, &other) && other.size == entry.size &&
                      memcmp(other.value, entry.value, entry.size) == 0;
        if (!has_it && setxattr(path, entry.name, entry.value, entry.size, 0) < 0 && r == 0)
            r = -errno;
    }
    return r;
}

void xattrs_clear(struct xattrs *xattrs)
{
    free(xattrs->bytes);
    *xattrs = NO_XATTRS;
}
