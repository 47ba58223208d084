/* SPDX-License-Identifier: MIT */
/* A list of names: what a directory holds, without "." and "..". */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A name, and what the directory that lists it says of the object. */
struct listed {
    size_t start; /* in the bytes */
    dev_t device;
    ino_t inode;
    mode_t kind; /* S_IFREG, S_IFDIR, ...; 0: nothing is known of the object */
};

struct names {
    char *bytes; /* the names one behind the other, each with its NUL */
    size_t size, room;
    struct listed *items;
    size_t count, places;
};

#define NO_NAMES ((struct names){0})

/* Returns 0 or -ENOMEM. */
int names_add(struct names *names, const char *name);

/* Adds one with what is known of it; START of KNOWN means nothing. Returns 0 or -ENOMEM. */
int names_add_known(struct names *names, const char *name, const struct listed *known);

/* Adds those of the directory FD, in no order, with what it says of them. Closes FD in any case. */
int names_add_listing(struct names *names, int fd);

/* Name number I < count; valid until a name is added. */
const char *names_get(const struct names *names, size_t i);

/* Sorts by byte values, and keeps of equal names the one that was added first. */
void names_sort_unique(struct names *names);

/* Returns true if NAMES, which are sorted, have NAME. */
bool names_have(const struct names *names, const char *name);

void names_clear(struct names *names);

/* Returns true if a part of PATH is "..". */
bool path_goes_up(const char *path);

#define cleanup_names CLEANUP(names_clear)
