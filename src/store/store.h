/* SPDX-License-Identifier: MIT */
/*
 * One store: a tree of shares that may be slow, hang, or go away. A store on a local file system
 * is asked by whoever has a question; one behind a network or a FUSE server by threads of its
 * own, so that no one else hangs with it.
 */
#pragma once

#include "store/round.h"
#include "tree/tree.h"

struct store;

/* The store at PATH, held once. Returns 0 or a negative errno (-ENOTDIR: no directory). */
int store_new(const char *path, struct store **ret);

struct store *store_hold(struct store *store);
void store_release(struct store *store);

const struct tree *store_tree(const struct store *store);
const char *store_name(const struct store *store);

/* The last part of its name. */
const char *store_short_name(const struct store *store);

/* Where it was found: an absolute path without symlinks. */
const char *store_real_path(const struct store *store);

/* Returns true if the way there was closed to other users when it was found; see way.h. */
bool store_is_closed(const struct store *store);

/* What a sample of it shows; false where none was taken yet. */
struct store_voice;
void store_set_voice(struct store *store, const struct store_voice *voice);
bool store_voice(const struct store *store, struct store_voice *ret);

/*
 * Whether PATH, by which the store was opened, still leads there. A remote store is not asked: its
 * mount has to be there, whatever PATH is.
 */
bool store_is_at(const struct store *store, const char *path);

/* That of its root; other file systems may be mounted in it. */
dev_t store_device(const struct store *store);

/* Whether it has to be asked by threads of its own. */
bool store_is_remote(const struct store *store);

/*
 * Has a thread of the remote store run TASK and call task_finish. -ETIMEDOUT while the store is
 * set aside, unless the task is PATIENT; -EAGAIN where no thread can be had. Then the task is not
 * touched.
 */
int store_submit(struct store *store, struct task *task, bool patient);

/* Takes back a task that was submitted, unless a thread has begun it. Whether it did. */
bool store_withdraw(struct store *store, struct task *task);

/*
 * How long the store takes to answer, in microseconds: usually, or, if that is more, by a question
 * that it has not answered yet. 0 for a local one, and where it was not asked yet.
 */
uint64_t store_pace(struct store *store);

/*
 * The store has not answered in time: it is not asked again until it does. It is tried again
 * from time to time, at no one's cost.
 */
void store_set_aside(struct store *store);
bool store_is_aside(struct store *store);
