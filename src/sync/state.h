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

/* A run that began at WHEN has brought NODE up to date, or (ERROR) has not. */
void state_note(struct state *state, const struct node *node, time_t when, const char *error);

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
