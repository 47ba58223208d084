/* SPDX-License-Identifier: MIT */
/*
 * A round of questions that one request puts to several stores at once. A store may answer in a
 * microsecond, late, or never: the asker hears of each answer when it comes, and of those that are
 * late, and may go on whenever he has enough. What is not answered by the deadline, or when he
 * leaves, is left behind: it is not asked any more, or freed when (if ever) its thread comes back.
 */
#pragma once

#include "store/store.h"

struct round;

int round_new(struct round **ret);

/*
 * Puts the question TASK to STORE; to NULL where it is of no store: a thread of its own runs it.
 * The task is the round's from here on. *STATE is set here and by round_wait, and lives until the
 * round is left.
 */
void round_put(struct round *round, struct store *store, struct task *task, enum task_state *state);

struct round_left {
    unsigned pending; /* not answered, and not missed either */
    unsigned late;    /* of these */
};

/*
 * Waits until the state of a task changes, unless one has since the last time; where nothing is
 * pending it returns at once. What takes longer than PATIENCE (microseconds) is late, and all that
 * is put to a store that usually takes longer. Stores that miss the deadline are set aside.
 */
struct round_left round_wait(struct round *round, uint64_t patience);

/* Why a task was not put: no thread could be had for it. 0: all were. */
int round_shortage(const struct round *round);

/* Waits until nothing is pending any more. */
void round_wait_for_all(struct round *round);

/* Drops the tasks, and those that a thread has begun when it is back; and the round. */
void round_leave(struct round *round);

DEFINE_CLEANUP(struct round *, round_leave)
#define cleanup_round CLEANUP(cleanup_by_round_leave)

/*
 * Has STORE run a task that no one waits for, in this thread or in one of its own, however long
 * that takes.
 */
void task_run_later(struct store *store, struct task *task);
