/* SPDX-License-Identifier: MIT */
/* One run of one set, in several steps: each has some of the nodes do one task. */
#pragma once

#include "cli/options.h"
#include "cli/private_view.h"
#include "cli/sync_show.h"

struct syncing {
    const struct options *options;
    struct set *set;
    struct private_view view;
    struct run run;
    struct names shares;      /* the directory of each node's share */
    struct outcome *outcomes; /* one for each node */
    time_t began;
};

/* SIGNALS is a descriptor from which the user's signals are read. */
void syncing_init(const struct options *options, struct set *set, int signals, struct syncing *ret);

/* Runs what the orders of NODES say. Returns 0 or -ENOMEM. */
int syncing_run(struct syncing *syncing, struct node_run *nodes, size_t count);

/* FOLDER/NAME for each node, NAME being its share and SUFFIX. Returns 0 or -ENOMEM. */
int syncing_paths(const struct syncing *syncing, const char *folder, const char *suffix,
                  struct names *ret);

struct outcome *syncing_outcome(const struct syncing *syncing, const struct node_run *node);

/* Keeps why NODE failed, which the outcome shows unless it has another reason. */
void syncing_fail(const struct syncing *syncing, const struct node_run *node);
