/* SPDX-License-Identifier: MIT */
#include "base/names.h"

#include "base/array.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

int names_add(struct names *names, const char *name)
{
    return names_add_known(names, name, &(struct listed){.kind = 0});
}

int names_add_known(struct names *names, const char *name, const struct listed *known)
{
    size_t length = strlen(name) + 1;

    int r = array_grow(&names->bytes, 1, names->size + length, &names->room);
    if (r == 0)
        r = array_grow(&names->items, sizeof *names->items, names->count + 1, &names->places);
    if (r < 0)
        return r;
    memcpy(names->bytes + names->size, name, length);
    names->items[names->count] = *known;
    names->items[names->count++].start = names->size;
    names->size += length;
    return 0;
}

int names_add_listing(struct names *names, int fd)
{
    cleanup_dir DIR *directory = fdopendir(fd);
    const struct dirent *entry;
    struct stat status;
    int r = 0;

    if (!directory) {
        r = -errno;
        close(fd);
        return r;
    }
    if (fstat(fd, &status) < 0)
        return -errno;
    for (errno = 0; r == 0 && (entry = readdir(directory)); errno = 0) {
        const struct listed known = {
            .device = status.st_dev, .inode = entry->d_ino, .kind = (mode_t)DTTOIF(entry->d_type)};
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = names_add_known(names, entry->d_name, &known);
    }
    return r < 0 ? r : -errno;
}

const char *names_get(const struct names *names, size_t i)
{
    return names->bytes + names->items[i].start;
}

static int compare_listed(const void *left, const void *right, void *opaque)
{
    const struct listed *first = left, *second = right;
    const char *bytes = opaque;

    int order = strcmp(bytes + first->start, bytes + second->start);
    return order ? order : (first->start > second->start) - (first->start < second->start);
}

void names_sort_unique(struct names *names)
{
    size_t kept = 0;

    if (names->count == 0)
        return;
    qsort_r(names->items, names->count, sizeof *names->items, compare_listed, names->bytes);
    for (size_t i = 1; i < names->count; i++) {
        if (strcmp(names_get(names, i), names_get(names, kept)) != 0)
            names->items[++kept] = names->items[i];
    }
    names->count = kept + 1;
}

bool names_have(const struct names *names, const char *name)
{
    size_t low = 0, high = names->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, names_get(names, middle));
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

void names_clear(struct names *names)
{
    free(names->bytes);
    free(names->items);
    *names = NO_NAMES;
}

bool path_goes_up(const char *path)
{
    for (const char *at = path; (at = strstr(at, "..")); at++) {
        if ((at == path || at[-1] == '/') && (at[2] == '\0' || at[2] == '/'))
            return true;
    }
    return false;
}
