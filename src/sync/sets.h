/* SPDX-License-Identifier: MIT */
/* What the file of sets says: trees, and the places that hold a share of each. */
#pragma once

#include "view/tree_source.h"

#include <stddef.h>

enum mover { MOVER_NONE, MOVER_RSYNC, MOVER_RCLONE };

/* How a node is brought up to date. A set's terms are those of its nodes that say nothing else. */
struct terms {
    bool remove;            /* what the source has no more */
    bool attributes;        /* by rsync: extended ones and access control lists, too */
    bool symlinks;          /* by rclone: as small files */
    bool metadata;          /* by rclone: mode, owner and attributes, too */
    bool look_at_checksums; /* not at sizes and times */
    unsigned long removals; /* at most so many in a run */
    unsigned long deadline; /* seconds, all attempts together */
    unsigned long timeout;  /* seconds without an answer */
    unsigned long retries;
    unsigned long time_window; /* seconds by which times may differ; 0: not at all */
    char *rate;                /* "500K" bytes a second; NULL: no limit */
    char *ssh_key, *ssh_config, *password_file, *rclone_config; /* paths; NULL: none */
};

struct node {
    char *name;
    unsigned line; /* where it begins in the file */
    int share;     /* its index; -1: not given */
    enum mover mover;
    char *target;
    struct terms terms;
};

struct set {
    char *name;
    unsigned line, required_line; /* in the file */
    char *source;
    struct encoding encoding; /* required is 0 where it was not given; shares as well */
    struct tree_rules rules;
    struct terms terms;
    struct node *nodes;
    size_t count;
};

struct sets {
    struct set *sets;
    size_t count;
};

/* NULL where there is none of this name. */
struct set *sets_find(const struct sets *sets, const char *name);

/* An empty one at the end; pointers to others end. Return 0 or -ENOMEM. */
int sets_add(struct sets *sets, const char *name, struct set **ret);
int set_add_node(struct set *set, const char *name, struct node **ret);

void sets_clear(struct sets *sets);

#define cleanup_sets CLEANUP(sets_clear)
