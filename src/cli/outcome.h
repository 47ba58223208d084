/* SPDX-License-Identifier: MIT */
/* What came of the nodes of a set in a run of sync, and how that is shown. */
#pragma once

#include "sync/run.h"

#include <jansson.h>

/* What came of a node in the whole run of its set. */
struct outcome {
    struct transfer update;  /* as it ended */
    char error[REASON_SIZE]; /* "": it is up to date */
    uint64_t verified;       /* files that were compared in the end, */
    uint64_t different;
    struct names paths;          /* of these, as many as are kept */
    bool is_of_another_encoding; /* some of what it may have: it may have the right size and time */
    bool unfinished;             /* something may be left of stopped runs */
    bool clean_failed;           /* some of it may still be there */
    struct names left;           /* what was found of that */
    struct names links;          /* symlinks that were sent to a daemon, as many as are kept */
    uint64_t cleaned;            /* how much of it was removed */
    time_t mended_since; /* when the difference was found that this run has mended; 0: none */
};

/* Shows a line for each node, on the terminal, as output_progress does. */
void outcome_show_runs(const struct sync_set *set, const struct run *run, bool always);

/* Returns the fields that all lines about a node have. */
json_t *outcome_json(const struct sync_set *set, const struct transfer *transfer,
                     const char *event);

/* Shows what came of a node, as text and as JSON. */
void outcome_show(const struct sync_set *set, const struct outcome *outcome);
