/* SPDX-License-Identifier: MIT */
/* What sync shows: a line for each node while it runs, and what came of it. */
#pragma once

#include "cli/exit_status.h"
#include "sync/run.h"
#include "sync/state.h"

/* What came of a node in the whole run of its set. */
struct outcome {
    const struct node_run *run;
    const char *error; /* NULL: it is up to date */
    uint64_t verified; /* files that were compared in the end, */
    uint64_t different;
    bool looked; /* whether they could be */
    time_t as_of;
};

/* One line each, on the terminal. */
void show_nodes(const struct set *set, const struct run *run, bool always);

/* An event of struct run. */
void show_event(const struct set *set, const struct node_run *node, enum node_event event);

/* What is, or would be, done with one file. */
void show_move(const struct set *set, const struct node_run *node, enum move move,
               const char *path);

void show_outcome(const struct set *set, const struct outcome *outcome);
void show_set(const struct set *set, size_t current, bool dry_run, enum exit_status status);
