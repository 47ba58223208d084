/* SPDX-License-Identifier: MIT */
#include "tree/round.h"

#include "base/thread.h"
#include "tree/store.h"

#include <pthread.h>
#include <time.h>

struct round {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned holders; /* the asker, and every task that is with a thread */
    unsigned pending; /* tasks that are with a thread */
    struct task *tasks;
};

int round_new(struct round **ret)
{
    struct round *round = calloc(1, sizeof *round);
    pthread_condattr_t attributes;

    if (!round)
        return -ENOMEM;
    pthread_mutex_init(&round->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&round->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    round->holders = 1;
    *ret = round;
    return 0;
}

static void round_free(struct round *round)
{
    pthread_cond_destroy(&round->changed);
    pthread_mutex_destroy(&round->lock);
    free(round);
}

static void drop(struct task *task)
{
    struct store *store = task->store;

    task->drop(task);
    if (store)
        store_release(store);
}

static void *run_task(void *opaque)
{
    struct task *task = opaque;

    task->run(task);
    task_finish(task);
    return NULL;
}

/* Has another thread run TASK. Returns 0, or a negative errno and has not touched it. */
static int hand_over(struct task *task)
{
    return task->store ? store_submit(task->store, task, false) : thread_start(run_task, task);
}

static void put_in_queue(struct round *round, struct task *task)
{
    pthread_mutex_lock(&round->lock);
    task->queued = true;
    round->holders++;
    round->pending++;
    if (hand_over(task) < 0) {
        task->queued = false;
        round->holders--;
        round->pending--;
    }
    pthread_mutex_unlock(&round->lock);
}

void round_put(struct round *round, struct store *store, struct task *task, bool *answered)
{
    task->store = store ? store_hold(store) : NULL;
    task->round = round;
    task->queued = task->done = task->left = false;
    task->answered = answered;
    *answered = false;
    task->next_in_round = round->tasks;
    round->tasks = task;
    if (!store || store_is_remote(store)) {
        put_in_queue(round, task);
    } else {
        task->run(task);
        task->done = true;
    }
}

/* Leaves behind what is not done; the round keeps what is, and what no thread has. */
static void give_up_pending(struct round *round)
{
    for (struct task **at = &round->tasks; *at;) {
        struct task *task = *at;
        *task->answered = task->done;
        if (task->queued && !task->done) {
            task->left = true;
            *at = task->next_in_round;
            if (task->store)
                store_set_aside(task->store);
        } else {
            at = &task->next_in_round;
        }
    }
}

void round_wait(struct round *round)
{
    struct timespec deadline;
    int r = 0;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += ROUND_LIMIT_S;
    pthread_mutex_lock(&round->lock);
    while (round->pending > 0 && r == 0)
        r = pthread_cond_timedwait(&round->changed, &round->lock, &deadline);
    give_up_pending(round);
    pthread_mutex_unlock(&round->lock);
}

/* Takes one holder away, with the lock held, which it lets go; the last one frees the round. */
static void unhold(struct round *round)
{
    bool last = --round->holders == 0;

    pthread_mutex_unlock(&round->lock);
    if (last)
        round_free(round);
}

void task_finish(struct task *task)
{
    struct round *round = task->round;

    if (!round) {
        drop(task);
        return;
    }
    pthread_mutex_lock(&round->lock);
    task->done = true;
    round->pending--;
    bool left = task->left;
    pthread_cond_signal(&round->changed);
    unhold(round);
    if (left)
        drop(task);
}

void task_run_later(struct store *store, struct task *task)
{
    task->store = store_hold(store);
    task->round = NULL;
    if (store_is_remote(store) && store_submit(store, task, true) == 0)
        return;
    task->run(task);
    drop(task);
}

void round_leave(struct round *round)
{
    pthread_mutex_lock(&round->lock);
    give_up_pending(round);
    struct task *tasks = round->tasks;
    unhold(round);
    for (struct task *next; tasks; tasks = next) {
        next = tasks->next_in_round;
        drop(tasks);
    }
}
