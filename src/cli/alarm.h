/* SPDX-License-Identifier: MIT */
/* Tells a set's on_problem when something becomes worse, and once when all is good again. */
#pragma once

#include "sync/sets.h"

struct alarm {
    char *folder;
    int lock;
};

/* Warns where SET's on_problem names no program: it would be missed only when it is needed. */
void alarm_check(const struct sync_set *set);

/*
 * To be called at the end of a run of sync or check: reads what is known of SET anew, which the
 * caller adds to. Returns 0, or a negative errno after one line in the log. End it in any case.
 */
int alarm_begin(struct sync_set *set, struct alarm *ret);

/* Tells what is to be told of SET, and remembers that and what was added. Returns the same; after
 * an error, the next run tells it again. */
int alarm_raise(const struct alarm *alarm, struct sync_set *set);

void alarm_end(struct alarm *alarm);

#define cleanup_alarm CLEANUP(alarm_end)
