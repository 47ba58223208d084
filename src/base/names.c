/* SPDX-License-Identifier: MIT */
#include "base/names.h"

#include <stdint.h>
#include <string.h>

/* Doubles *ARRAY (of *ROOM elements) until it has room for NEEDED. */
static int grow(void *array, size_t element, size_t needed, size_t *room)
{
    void **held = array;
    size_t wider = *room ? *room : 64;

    if (needed <= *room)
        return 0;
    while (wider < needed)
        wider *= 2;
    void *grown = reallocarray(*held, wider, element);
    if (!grown)
        return -ENOMEM;
    *held = grown;
    *room = wider;
    return 0;
}

int names_add(struct names *names, const char *name)
{
    size_t length = strlen(name) + 1;

    int r = grow(&names->bytes, 1, names->size + length, &names->room);
    if (r == 0)
        r = grow(&names->starts, sizeof *names->starts, names->count + 1, &names->places);
    if (r < 0)
        return r;
    memcpy(names->bytes + names->size, name, length);
    names->starts[names->count++] = names->size;
    names->size += length;
    return 0;
}

const char *names_get(const struct names *names, size_t i)
{
    return names->bytes + names->starts[i];
}

static int compare(const void *left, const void *right, void *bytes)
{
    const char *base = bytes;

    return strcmp(base + *(const size_t *)left, base + *(const size_t *)right);
}

void names_sort(struct names *names)
{
    if (names->count > 0)
        qsort_r(names->starts, names->count, sizeof *names->starts, compare, names->bytes);
}

void names_sort_unique(struct names *names)
{
    size_t kept = 0;

    if (names->count == 0)
        return;
    names_sort(names);
    for (size_t i = 1; i < names->count; i++) {
        if (strcmp(names_get(names, i), names_get(names, kept)) != 0)
            names->starts[++kept] = names->starts[i];
    }
    names->count = kept + 1;
}

void names_clear(struct names *names)
{
    free(names->bytes);
    free(names->starts);
    *names = NO_NAMES;
}
