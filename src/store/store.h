/* SPDX-License-Identifier: MIT */
/*
 * One store: a tree of shares that may be slow, hang, or go away. A store on a local file system
 * is asked by whoever has a question; one behind a network or a FUSE server by threads of its
 * own, so that no one else hangs with it.
 */
#pragma once

#include "tree/tree.h"

struct round;
struct store;

/* How far a question has come, as the asker sees it. */
enum task_state {
    TASK_PENDING,
    TASK_LATE,     /* pending, for much longer than is usual */
    TASK_ANSWERED, /* it was run: the task may be looked at until the round is left */
    TASK_MISSED,   /* no answer in time, or not even asked since the store is set aside */
};

/* To be put first in a struct of the caller's that has all the question and the answer need. */
struct task {
    void (*run)(struct task *task);  /* asks task->store; may block for ever */
    void (*drop)(struct task *task); /* frees the struct and what it holds; called once */
    bool heavy; /* it takes long also in a local store: several threads run many of them */
    /* The round's: */
    void (*finish)(struct task *task); /* after it was run by a thread of the store */
    struct store *store;               /* held for the task; NULL: see round_put */
    struct round *round;
    struct task *next_in_round, *next_in_queue;
    enum task_state state; /* for the asker alone: set by round_put and round_wait */
    uint64_t asked;        /* when it was put, as clock_now */
    bool local;            /* the asker runs it */
    bool done;             /* it was run, or no thread took it */
    bool left;             /* the asker does not wait for it any more */
};

/* How long stores have to answer, in microseconds; 5 seconds unless it is set before all else. */
void store_set_limit(uint64_t time);
uint64_t store_limit(void);

/* The store at PATH, held once. Returns 0 or a negative errno (-ENOTDIR: no directory). */
int store_new(const char *path, struct store **ret);

struct store *store_hold(struct store *store);
void store_release(struct store *store);

const struct tree *store_tree(const struct store *store);
const char *store_name(const struct store *store);

/* Has a store at PATH called NAME from here on. Returns 0 or -ENOMEM. Before any is opened. */
int store_call(const char *path, const char *name);
const char *store_short_name(const struct store *store); /* the last part of that */
const char *store_real_path(const struct store *store);  /* absolute, without symlinks */

/* Notes that a block of it was read, or tells whether one was. */
void store_note_read(struct store *store);
bool store_was_read(const struct store *store);

/* Returns true for the first caller: what is the same with many names is told of one. */
bool store_tell_once(struct store *store);

/* Returns true if the way there was closed to other users when it was found; see tree/mounts.h. */
bool store_is_closed(const struct store *store);

/* What a sample of it shows; false where none was taken yet. */
struct store_voice;
void store_set_voice(struct store *store, const struct store_voice *voice);
bool store_voice(const struct store *store, struct store_voice *ret);

/* Returns true if PATH, by which the store was opened, still leads there. A remote store is not
 * asked: its mount has to be there, or a shortage keeps that from being known. */
bool store_is_at(const struct store *store, const char *path);

/* That of its root; other file systems may be mounted in it. */
dev_t store_device(const struct store *store);

/* Returns true if it has to be asked by threads of its own. */
bool store_is_remote(const struct store *store);

/* Returns true if `rclone mount` shows it. rclone sends no times of directories. */
bool store_is_of_rclone(const struct store *store);

/* Has a thread of the remote store run TASK, and then finish it. -ETIMEDOUT while the store is set
 * aside, unless PATIENT; -EAGAIN where no thread can be had. Then the task is not touched. */
int store_submit(struct store *store, struct task *task, bool patient);

/* Takes back a task that was submitted, unless a thread has begun it. Returns true if it did. */
bool store_withdraw(struct store *store, struct task *task);

/*
 * When a question is given up that STORE (NULL: none) was asked at ASKED, as clock_now: when the
 * store has not answered anything for the limit. What is asked at once over a narrow line takes
 * longer than that together; but a few limits are enough for each.
 */
uint64_t store_deadline(const struct store *store, uint64_t asked);

/* How many microseconds the store takes to answer: usually, or, if that is more, by a question that
 * it has not answered yet. 0 for a local one, and where it was not asked yet. */
uint64_t store_pace(struct store *store);

/* Notes that the store has not answered in time. Unless it has answered something else meanwhile,
 * it is not asked again until it answers a probe, which a thread of its own sends from time to
 * time. */
void store_set_aside(struct store *store);
bool store_is_aside(struct store *store);
