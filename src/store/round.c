/* SPDX-License-Identifier: MIT */
#include "store/round.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/pool.h"
#include "base/thread.h"

#include <stdatomic.h>

/* To start a thread takes as long as to read some directories. */
enum { HEAVY_WORTH_A_THREAD = 4 };

struct round {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_uint holders; /* the asker, and every task that is with a thread */
    bool refusals;       /* tasks that no thread took are news to the asker */
    int shortage;        /* why one was not taken, other than that its store is set aside */
    struct task *tasks;
};

int round_new(struct round **ret)
{
    struct round *round = calloc(1, sizeof *round);

    if (!round)
        return -ENOMEM;
    pthread_mutex_init(&round->lock, NULL);
    pthread_cond_init(&round->changed, NULL);
    atomic_init(&round->holders, 1);
    *ret = round;
    return 0;
}

static void release(struct round *round)
{
    if (atomic_fetch_sub(&round->holders, 1) > 1)
        return;
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

/* The task has been run, by a thread of its store or one of its own. */
static void finish_task(struct task *task)
{
    struct round *round = task->round;

    pthread_mutex_lock(&round->lock);
    task->done = true;
    bool left = task->left;
    pthread_cond_signal(&round->changed);
    pthread_mutex_unlock(&round->lock);
    release(round);
    if (left)
        drop(task);
}

static void *run_task(void *opaque)
{
    struct task *task = opaque;

    task->run(task);
    finish_task(task);
    return NULL;
}

void round_put(struct round *round, struct store *store, struct task *task)
{
    task->store = store ? store_hold(store) : NULL;
    task->round = round;
    task->finish = finish_task;
    task->done = task->left = false;
    task->state = TASK_PENDING;
    task->asked = clock_now();
    task->local = store && !store_is_remote(store);
    task->next_in_round = round->tasks;
    round->tasks = task;
    if (task->local)
        return;
    HOLD(&round->lock);
    round->holders++;
    int r = store ? store_submit(store, task, false) : thread_start(run_task, task);
    if (r == 0)
        return;
    if (r != -ETIMEDOUT)
        round->shortage = r;
    task->state = TASK_MISSED;
    task->done = round->refusals = true;
    round->holders--;
}

/* Runs tasks of local stores, linked as in a queue: those that no thread has taken yet. */
static void run_tasks(void *opaque)
{
    struct task *_Atomic *next = opaque, *task = atomic_load(next);

    while (task) {
        if (!atomic_compare_exchange_weak(next, &task, task->next_in_queue))
            continue;
        task->run(task);
        task->done = true;
        task->state = TASK_ANSWERED;
        task = atomic_load(next);
    }
}

/* Asks the local stores: now, when the others are on their way. Returns true if there were any. */
static bool run_local(struct round *round)
{
    struct task *_Atomic next = NULL;
    size_t heavy = 0;

    for (struct task *task = round->tasks; task; task = task->next_in_round) {
        if (!task->local || task->done)
            continue;
        task->next_in_queue = next;
        next = task;
        heavy += task->heavy;
    }
    if (!next)
        return false;
    size_t worth = 1 + heavy / HEAVY_WORTH_A_THREAD;
    size_t processors = worth > 1 ? thread_processors() : 1;
    team_run(NULL, worth < processors ? worth : processors, run_tasks, &next);
    return true;
}

static enum task_state state_of(const struct task *task, uint64_t now, uint64_t patience)
{
    if (task->done)
        return TASK_ANSWERED;
    if (now >= store_deadline(task->store, task->asked))
        return TASK_MISSED;
    if (task->state == TASK_LATE || now - task->asked >= patience)
        return TASK_LATE;
    return task->store && store_pace(task->store) > patience ? TASK_LATE : TASK_PENDING;
}

/*
 * Looks at what has become of the tasks; *RET_NEXT is when another one may be late or miss its
 * deadline. Returns true if there is news. The lock is held.
 */
static bool look(struct round *round, uint64_t patience, struct round_left *ret, uint64_t *ret_next)
{
    uint64_t now = clock_now(), next = UINT64_MAX;
    struct round_left left = {0};
    bool news = false;

    for (struct task *task = round->tasks; task; task = task->next_in_round) {
        if (task->state == TASK_ANSWERED || task->state == TASK_MISSED)
            continue;
        enum task_state state = state_of(task, now, patience);
        news = news || state != task->state;
        task->state = state;
        if (state == TASK_MISSED && task->store)
            store_set_aside(task->store);
        if (state == TASK_ANSWERED || state == TASK_MISSED)
            continue;
        left.pending++;
        left.late += state == TASK_LATE;
        uint64_t then = store_deadline(task->store, task->asked);
        if (state != TASK_LATE && patience < then - task->asked)
            then = task->asked + patience;
        next = then < next ? then : next;
    }
    *ret = left;
    *ret_next = next;
    return news;
}

struct round_left round_wait(struct round *round, uint64_t patience)
{
    struct round_left left;
    uint64_t next;

    bool news = run_local(round);
    HOLD(&round->lock);
    news |= round->refusals;
    round->refusals = false;
    news |= look(round, patience, &left, &next);
    while (!news && left.pending > 0) {
        struct timespec until = clock_timespec(next);
        pthread_cond_clockwait(&round->changed, &round->lock, CLOCK_MONOTONIC, &until);
        news = look(round, patience, &left, &next);
    }
    return left;
}

int round_shortage(const struct round *round)
{
    return round->shortage;
}

void round_wait_for_all(struct round *round)
{
    while (round_wait(round, store_limit()).pending > 0) {
    }
}

void task_run_later(struct store *store, struct task *task)
{
    task->store = store_hold(store);
    task->round = NULL;
    task->finish = drop;
    if (store_is_remote(store) && store_submit(store, task, true) == 0)
        return;
    task->run(task);
    drop(task);
}

void round_leave(struct round *round)
{
    struct task *mine = NULL;

    pthread_mutex_lock(&round->lock);
    for (struct task *task = round->tasks, *next; task; task = next) {
        next = task->next_in_round;
        if (!task->local && !task->done) {
            if (!task->store || !store_withdraw(task->store, task)) {
                task->left = true; /* a thread has it, or will have, and frees it */
                continue;
            }
            round->holders--;
        }
        task->next_in_round = mine;
        mine = task;
    }
    pthread_mutex_unlock(&round->lock);
    release(round);
    for (struct task *next; mine; mine = next) {
        next = mine->next_in_round;
        drop(mine);
    }
}
