/* SPDX-License-Identifier: MIT */
/*
 * What is remembered of a set's nodes: a file SET.json, which is replaced as a whole. Its form is
 * in zfec-fs-sets(5).
 */
#pragma once

#include "sync/sets.h"

#include <time.h>

struct state;

/*
 * What FOLDER holds of SET; a file that is not there, or makes no sense, is nothing remembered.
 * Returns 0 or -ENOMEM.
 */
int state_read(const char *folder, const struct set *set, struct state **ret);

/*
 * As of when NODE has all that the source had: the beginning of the last run that brought it up to
 * date. 0: it never was, or its share or its place is another one since.
 */
time_t state_as_of(const struct state *state, const struct node *node);

/*
 * Returns the beginning of the run in which verification first found that NODE holds other bytes
 * than were sent, where no run has mended that; 0: nothing is known to differ.
 */
time_t state_differs_since(const struct state *state, const struct node *node);

/*
 * Adds the paths of the files that differ to NAMES, where all of them are known by name. Returns
 * how many there are, 0 where they are not known, or -ENOMEM.
 */
int state_different(const struct state *state, const struct node *node, struct names *names);

/*
 * Returns the beginning of the first run since which no run has both brought NODE up to date and
 * removed what stopped runs have left there; 0: nothing is left.
 */
time_t state_unfinished_since(const struct state *state, const struct node *node);

/* Notes that a run of NODE begins, which may be stopped without a chance to note anything. */
void state_begin(struct state *state, const struct node *node, time_t when);

/* What is remembered of a node after a run. */
struct note {
    time_t when;        /* the run's beginning */
    const char *error;  /* NULL: the node is up to date, and nothing differs any more */
    uint64_t different; /* files that verification found; 0: it found none, or did not look */
    const struct names *paths; /* of these, as many as were kept */
    bool unfinished;           /* something may be left at the node */
};
void state_note(struct state *state, const struct node *node, const struct note *note);

/* Returns 0, or a negative errno after one line in the log. */
int state_write(const struct state *state);

void state_free(struct state *state);

/* A time as the file has it: 2026-01-31T23:59:59Z. */
struct time_text {
    char text[32];
};
struct time_text time_text(time_t time);

DEFINE_CLEANUP(struct state *, state_free)
#define cleanup_state CLEANUP(cleanup_by_state_free)
