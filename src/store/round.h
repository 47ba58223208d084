/* SPDX-License-Identifier: MIT */
/*
 * A round of questions that one request puts to several stores at once. A store may answer in a
 * microsecond, late, or never. The asker hears of each answer as it comes and of each that is late,
 * and may leave when it has enough. Then other questions are withdrawn; one that a thread has begun
 * is freed when, if ever, that thread returns.
 */
#pragma once

#include "store/store.h"

struct round;

int round_new(struct round **ret);

/* Puts the question TASK, which is the round's from here on, to STORE; NULL: a thread of its own
 * runs it. */
void round_put(struct round *round, struct store *store, struct task *task);

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

/* Frees the round and its tasks, those that a thread has begun when it is back. */
void round_leave(struct round *round);

DEFINE_CLEANUP(struct round *, round_leave)
#define cleanup_round CLEANUP(cleanup_by_round_leave)

/* Runs TASK in this thread, or in one of STORE's if it is remote: nobody waits for it. */
void task_run_later(struct store *store, struct task *task);
