/* SPDX-License-Identifier: MIT */
/* The keys of the file of sets: where each may stand, and what its value means. Part of config.c.
 */
#pragma once

#include "sync/ini.h"
#include "sync/sets.h"

/* What is being read. NODE is NULL in the section of a set. */
struct reading {
    struct sets *sets;
    struct set *set;
    struct node *node;
    const struct ini_place *place;
    const char *key;
    unsigned section_line;
    char given[512]; /* the keys of the section, each with spaces around it */
};

struct key {
    const char *name;

    /* Returns 0, or a negative errno after one line in the log. */
    int (*take)(struct reading *reading, const struct key *key, const char *value);
    size_t field; /* of struct terms, where it is in both */
    unsigned long least, most;
    enum where { IN_SET = 1, IN_NODE = 2, IN_BOTH = 3 } where;
    bool many; /* may stand there more than once */
};

/* NULL where there is none of this name. */
const struct key *key_find(const char *name);

/* Logs "FILE:LINE: ..." of what is being read, and is -EINVAL. */
#define REFUSE(...) ini_refuse(reading->place, __VA_ARGS__)
