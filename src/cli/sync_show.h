/* SPDX-License-Identifier: MIT */
/* What sync shows: a line for each node while it runs, and what came of it. */
#pragma once

#include "cli/exit_status.h"
#include "sync/run.h"

/* What came of a node in the whole run of its set. */
struct outcome {
    struct transfer update;  /* as it ended */
    char error[REASON_SIZE]; /* "": it is up to date */
    char *share;             /* its directory in the view */
    char *list, *place;      /* for its transfers: see there */
    uint64_t verified;       /* files that were compared in the end, */
    uint64_t different;
    struct names paths;  /* of these, as many as are kept */
    bool looked;         /* they could be compared */
    bool unfinished;     /* something may be left of stopped runs */
    bool clean_failed;   /* some of it may still be there */
    struct names left;   /* what was found of that */
    uint64_t cleaned;    /* how much of it was removed */
    time_t mended_since; /* when the difference was found that this run has mended; 0: none */
};

/* Shows one line each, on the terminal. */
void show_nodes(const struct sync_set *set, const struct run *run, bool always);

/* Shows an event of struct run. */
void show_event(const struct sync_set *set, const struct transfer *transfer,
                enum transfer_event event);

/* Shows what is, or would be, done with one file. */
void show_move(const struct sync_set *set, const struct transfer *transfer, enum move move,
               const char *path);

void show_outcome(const struct sync_set *set, const struct outcome *outcome);
void show_set(const struct sync_set *set, size_t current, bool dry_run, enum exit_status status);
