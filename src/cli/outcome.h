/* SPDX-License-Identifier: MIT */
/* The results of a set's nodes in a run of sync, and their output. */
#pragma once

#include "sync/run.h"

#include <jansson.h>

/* The result of a node in the whole run. */
struct outcome {
    struct transfer update;  /* as it ended */
    char error[REASON_SIZE]; /* "": it is up to date */
    uint64_t verified;       /* files that were compared at the end, */
    uint64_t different;
    struct names paths;          /* of the different files, as many as are kept */
    bool is_of_another_encoding; /* some of its files may be: their size and time may look right */
    bool unfinished;             /* leftovers of stopped runs may be there */
    bool clean_failed;           /* some leftovers may still be there */
    struct names left;           /* the leftovers that were found */
    struct names links;          /* symlinks that were sent to a daemon, as many as are kept */
    uint64_t cleaned;            /* how many leftovers were removed */
    time_t mended_since; /* when the difference that this run has mended was found; 0: none */
};

/* Shows a line for each node on the terminal, as output_progress does. */
void outcome_show_runs(const struct sync_set *set, const struct run *run, bool always);

/* Returns the fields that all JSON lines about a node have. */
json_t *outcome_json(const struct sync_set *set, const struct transfer *transfer,
                     const char *event);

/* Shows the result of a node, as text and as JSON. */
void outcome_show(const struct sync_set *set, const struct outcome *outcome);
