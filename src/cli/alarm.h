/* SPDX-License-Identifier: MIT */
/* Runs a set's on_problem when something gets worse, and once when all is well again. */
#pragma once

#include "sync/sets.h"

struct alarm {
    char *folder;
    int lock;
};

/* Warns if SET's on_problem names a program that does not exist: otherwise that would show only in
 * an emergency. */
void alarm_check(const struct sync_set *set);

/*
 * Call it at the end of a run of sync or check: reads the state of SET anew, to which the caller
 * then adds. Returns 0, or a negative errno after one line in the log. End it in any case.
 */
int alarm_begin(struct sync_set *set, struct alarm *ret);

/* Reports what is new about SET, and stores that and what was added. Returns as alarm_begin; after
 * an error, the next run reports again. */
int alarm_raise(const struct alarm *alarm, struct sync_set *set);

void alarm_end(struct alarm *alarm);

#define cleanup_alarm CLEANUP(alarm_end)
