/* SPDX-License-Identifier: MIT */
#include "restore/spelled_link.h"

#include "base/io.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define SUFFIX ".rclonelink"

/* Returns the length of NAME without the suffix; 0 where it has none. */
static size_t stem_length(const char *name)
{
    const size_t length = strlen(name), suffix = strlen(SUFFIX);

    return length > suffix && name[length - suffix - 1] != '/' &&
                   strcmp(name + length - suffix, SUFFIX) == 0
               ? length - suffix
               : 0;
}

/* Reads the target. A share is no target: its header has bytes below that of a space. */
static int read_target(const struct tree_object *object, char **ret)
{
    const uint64_t size = (uint64_t)object->status.st_size;
    uint8_t target[PATH_MAX] = {0};
    size_t done = 0;

    if (object->fd < 0 || size == 0 || size >= PATH_MAX)
        return -ENOENT;
    int r = io_read(object->fd, 0, target, (size_t)size, &done);
    if (r < 0)
        return r;
    for (size_t i = 0; i < (size_t)size; i++) {
        if (target[i] < ' ')
            return -ENOENT;
    }
    *ret = strdup((char *)target);
    return *ret ? 0 : -ENOMEM;
}

bool spelled_link_is(const char *path, const struct tree_object *object)
{
    cleanup_free char *target = NULL;

    return stem_length(path) > 0 && read_target(object, &target) == 0;
}

int spelled_link_look(const struct tree *tree, const char *path, struct tree_object *ret)
{
    CLEANUP(tree_object_clear) struct tree_object object = {.fd = -1};
    cleanup_free char *spelled = NULL, *target = NULL;

    if (!*path)
        return -ENOENT;
    if (asprintf(&spelled, "%s" SUFFIX, path) < 0)
        return -ENOMEM;
    int r = tree_look(tree, spelled, &object);
    if (r == 0)
        r = read_target(&object, &target);
    if (r < 0)
        return r == -ENAMETOOLONG ? -ENOENT : r;
    *ret = (struct tree_object){.status = object.status, .target = steal_pointer(target), .fd = -1};
    ret->status.st_mode = S_IFLNK | 0777;
    return 0;
}

int spelled_link_add(struct names *names)
{
    const size_t count = names->count;
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++) {
        const size_t length = stem_length(names_get(names, i));
        mode_t kind = names->items[i].kind;
        if (length == 0 || (kind != 0 && !S_ISREG(kind)))
            continue;
        cleanup_free char *link = strndup(names_get(names, i), length);
        struct listed known = names->items[i];
        names->items[i].kind = known.kind = 0;
        r = link ? names_add_known(names, link, &known) : -ENOMEM;
    }
    return r;
}
