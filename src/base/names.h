/* SPDX-License-Identifier: MIT */
/* A list of names: what a directory holds, without "." and "..". */
#pragma once

#include "base/cleanup.h"

#include <stddef.h>

struct names {
    char *bytes; /* the names one behind the other, each with its NUL */
    size_t size, room;
    size_t *starts; /* of each name in bytes */
    size_t count, places;
};

#define NO_NAMES ((struct names){0})

/* Returns 0 or -ENOMEM. */
int names_add(struct names *names, const char *name);

/* Name number I < count; valid until the next names_add. */
const char *names_get(const struct names *names, size_t i);

/* Sorts by byte values; the latter keeps one of each. */
void names_sort(struct names *names);
void names_sort_unique(struct names *names);

void names_clear(struct names *names);

#define cleanup_names CLEANUP(names_clear)
