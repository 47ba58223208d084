/* SPDX-License-Identifier: MIT */
/*
 * A round of questions that one request puts to several stores at once. A store may answer in a
 * microsecond, late, or never: the round waits until a deadline, and what is not answered by then
 * is left behind, to be freed when (if ever) its thread comes back.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>

struct round;
struct store;

/* How long a round waits for the stores, in seconds. */
enum { ROUND_LIMIT_S = 5 };

/* To be put first in a struct of the caller's that has all the question and the answer need. */
struct task {
    void (*run)(struct task *task);  /* asks task->store; may block for ever */
    void (*drop)(struct task *task); /* frees the struct and what it holds; called once */
    struct store *store;             /* held for the task; NULL: see round_put */
    struct round *round;
    struct task *next_in_round, *next_in_queue;
    bool *answered; /* the asker's; see round_put */
    bool queued;    /* handed to another thread */
    bool done;      /* it was run */
    bool left;      /* the asker does not wait for it any more */
};

int round_new(struct round **ret);

/*
 * Puts the question TASK to STORE; to NULL where it is of no store: a thread of its own runs it.
 * The task is the round's from here on. *ANSWERED is set by round_wait: only where it is true may
 * the task be touched again, until round_leave.
 */
void round_put(struct round *round, struct store *store, struct task *task, bool *answered);

/* Waits until all that was put is answered, or the time is over. */
void round_wait(struct round *round);

/* Drops the tasks, and those that are not done yet when they are; and the round. */
void round_leave(struct round *round);

DEFINE_CLEANUP(struct round *, round_leave)
#define cleanup_round CLEANUP(cleanup_by_round_leave)

/* For the store's threads: the task has been run. One without a round is dropped. */
void task_finish(struct task *task);

/*
 * Has STORE run a task that no one waits for, in this thread or in one of its own, however long
 * that takes.
 */
void task_run_later(struct store *store, struct task *task);
