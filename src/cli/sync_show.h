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
    char *kept_error;  /* what that may point to */
    uint64_t verified; /* files that were compared in the end, */
    uint64_t different;
    struct names paths; /* of these, as many as are kept */
    struct names left;  /* what may be left of stopped runs, as it was found */
    time_t since;       /* when the first of these began; 0: nothing is left */
    uint64_t cleaned;   /* how much of that was removed */
    bool clean_failed;  /* some of it may still be there */
    bool looked;        /* they could be compared */
    bool is_unknown;    /* which files differ, that much is known: some do */
    time_t as_of;
    time_t differs_since; /* when that was found; 0: nothing is known to differ */
    time_t mended_since;  /* the same, where this run has mended it */
};

void outcome_clear(struct outcome *outcome);

/* One line each, on the terminal. */
void show_nodes(const struct set *set, const struct run *run, bool always);

/* An event of struct run. */
void show_event(const struct set *set, const struct node_run *node, enum node_event event);

/* What is, or would be, done with one file. */
void show_move(const struct set *set, const struct node_run *node, enum move move,
               const char *path);

void show_outcome(const struct set *set, const struct outcome *outcome);
void show_set(const struct set *set, size_t current, bool dry_run, enum exit_status status);
