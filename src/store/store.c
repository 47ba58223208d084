/* SPDX-License-Identifier: MIT */
#include "store/store.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/thread.h"
#include "store/pace.h"
#include "tree/mounts.h"
#include "trust/quorum.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    THREADS_MAX = 16, /* of one store, besides the one that probes */
    /* A thread without work ends after this time. */
    IDLE_LIMIT = 10 * CLOCK_SECOND,
    /* A store that was set aside is tried again after this time. */
    PROBE_AFTER = 10 * CLOCK_SECOND,
    /* So many times its time a question gets from a store that answers others meanwhile. */
    BUSY_LIMITS = 6,
};

/* Of a thread that asks nothing, and of one that was given up: it may hang for ever. */
static const uint64_t NOTHING = 0, GIVEN_UP = UINT64_MAX;

struct store {
    atomic_uint holders;
    struct tree *tree;
    char *name;           /* for messages; NULL: as the user gave its path */
    char *real_path;      /* without symlinks */
    bool closed;          /* the way there */
    bool of_rclone;       /* a mount of its */
    atomic_bool read;     /* a block of it */
    atomic_bool told;     /* see store_tell_once */
    pthread_mutex_t lock; /* of all that follows */
    struct store_voice voice;
    bool heard;
    pthread_cond_t work;
    struct task *first, **end; /* the queue, and where its next task is linked */
    unsigned queued, idle, threads;
    struct pace pace;
    uint64_t begun[THREADS_MAX];  /* when a thread began to ask what it asks, or NOTHING, ... */
    bool probing;                 /* a thread waits for an answer while it is set aside */
    _Atomic uint64_t answered;    /* when it last answered anything; 0: not yet */
    _Atomic uint64_t aside_since; /* 0: it is not */
};

static uint64_t limit = 5 * CLOCK_SECOND;

void store_set_limit(uint64_t time)
{
    limit = time;
}

static struct names called; /* paths, and behind each what a store there is called */

int store_call(const char *path, const char *name)
{
    int r = names_add(&called, path);

    return r == 0 ? names_add(&called, name) : r;
}

/* What a store at PATH is called in messages; NULL: as it is. */
static int find_name(const char *path, char **ret)
{
    *ret = NULL;
    for (size_t i = 0; i + 1 < called.count; i += 2) {
        if (strcmp(names_get(&called, i), path) == 0)
            return (*ret = strdup(names_get(&called, i + 1))) ? 0 : -ENOMEM;
    }
    return 0;
}

uint64_t store_limit(void)
{
    return limit;
}

int store_new(const char *path, struct store **ret)
{
    cleanup_tree struct tree *tree = NULL;
    cleanup_free char *real_path = NULL;
    bool closed;

    int r = tree_open(path, &tree);
    if (r < 0)
        return r;
    real_path = realpath(path, NULL);
    if (!real_path)
        return -errno;
    struct store *store = calloc(1, sizeof *store);
    if (!store || find_name(path, &store->name) < 0) {
        free(store);
        return -ENOMEM;
    }
    store->of_rclone = mounts_is_of_rclone(tree_device(tree)) > 0;
    if (store->of_rclone)
        tree_take_pictures(tree);
    store->closed = mounts_closed_way(real_path, &closed) < 0 || closed;
    store->real_path = steal_pointer(real_path);
    atomic_init(&store->holders, 1);
    store->voice.share = NO_VOTE;
    store->tree = steal_pointer(tree);
    store->end = &store->first;
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->work, NULL);
    *ret = store;
    return 0;
}

struct store *store_hold(struct store *store)
{
    atomic_fetch_add(&store->holders, 1);
    return store;
}

void store_release(struct store *store)
{
    if (atomic_fetch_sub(&store->holders, 1) > 1)
        return;
    tree_close(store->tree);
    free(store->name);
    free(store->real_path);
    pthread_cond_destroy(&store->work);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

const struct tree *store_tree(const struct store *store)
{
    return store->tree;
}

const char *store_name(const struct store *store)
{
    return store->name ? store->name : tree_name(store->tree);
}

const char *store_short_name(const struct store *store)
{
    const char *name = store_name(store), *slash = strrchr(name, '/');

    return slash && slash[1] ? slash + 1 : name;
}

const char *store_real_path(const struct store *store)
{
    return store->real_path;
}

void store_note_read(struct store *store)
{
    if (!atomic_load(&store->read)) /* else all readers would write to it */
        atomic_store(&store->read, true);
}

bool store_was_read(const struct store *store)
{
    return atomic_load(&store->read);
}

bool store_tell_once(struct store *store)
{
    return !atomic_exchange(&store->told, true);
}

bool store_is_closed(const struct store *store)
{
    return store->closed;
}

void store_set_voice(struct store *store, const struct store_voice *voice)
{
    HOLD(&store->lock);
    store->voice = *voice;
    store->heard = true;
}

bool store_voice(const struct store *store, struct store_voice *ret)
{
    HOLD((pthread_mutex_t *)&store->lock);
    *ret = store->voice;
    return store->heard;
}

bool store_is_at(const struct store *store, const char *path)
{
    return tree_is_remote(store->tree)
               ? mounts_is_at(tree_device(store->tree), store->real_path) != 0
               : tree_is_at(store->tree, path);
}

dev_t store_device(const struct store *store)
{
    return tree_device(store->tree);
}

bool store_is_remote(const struct store *store)
{
    return tree_is_remote(store->tree);
}

bool store_is_of_rclone(const struct store *store)
{
    return store->of_rclone;
}

/* Takes the next task, or NULL where none came for a long time. The lock is held. */
static struct task *next_task(struct store *store)
{
    struct timespec end = clock_timespec(clock_now() + IDLE_LIMIT);
    int r = 0;

    store->idle++;
    while (!store->first && r == 0)
        r = pthread_cond_clockwait(&store->work, &store->lock, CLOCK_MONOTONIC, &end);
    store->idle--;
    struct task *task = store->first;
    if (task) {
        store->first = task->next_in_queue;
        store->queued--;
        if (!store->first)
            store->end = &store->first;
    }
    return task;
}

/* The store has answered something, so it is there. */
static void take_back(struct store *store)
{
    atomic_store(&store->answered, clock_now());
    if (atomic_exchange(&store->aside_since, 0) > 0)
        log_warning("store %s answers again", store_name(store));
}

static void *serve_tasks(void *opaque)
{
    struct store *store = opaque;
    struct task *task;

    pthread_mutex_lock(&store->lock);
    while ((task = next_task(store))) {
        unsigned place = 0;
        while (store->begun[place] != NOTHING)
            place++;
        store->begun[place] = clock_now();
        pthread_mutex_unlock(&store->lock);
        task->run(task);
        pthread_mutex_lock(&store->lock);
        if (task->round && store->begun[place] != GIVEN_UP)
            pace_add(&store->pace, clock_now() - store->begun[place]);
        store->begun[place] = NOTHING;
        pthread_mutex_unlock(&store->lock);
        take_back(store);
        task->finish(task);
        pthread_mutex_lock(&store->lock);
    }
    store->threads--;
    pthread_mutex_unlock(&store->lock);
    store_release(store);
    return NULL;
}

static void *probe(void *opaque)
{
    struct store *store = opaque;
    struct stat status;

    tree_stat(store->tree, "", &status);
    take_back(store);
    pthread_mutex_lock(&store->lock);
    store->probing = false;
    pthread_mutex_unlock(&store->lock);
    store_release(store);
    return NULL;
}

/* Starts a thread that holds the store. Returns 0 or a negative errno. */
static int start_thread(struct store *store, void *(*body)(void *))
{
    int r = thread_start(body, store_hold(store));

    if (r < 0)
        store_release(store);
    return r;
}

uint64_t store_pace(struct store *store)
{
    uint64_t now = clock_now(), oldest = now;

    if (!tree_is_remote(store->tree))
        return 0;
    HOLD(&store->lock);
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        if (store->begun[i] != NOTHING && store->begun[i] < oldest)
            oldest = store->begun[i];
    }
    uint64_t usual = pace_usual(&store->pace);
    return now - oldest > usual ? now - oldest : usual;
}

uint64_t store_deadline(const struct store *store, uint64_t asked)
{
    uint64_t answered = store ? atomic_load(&store->answered) : 0;
    uint64_t last = asked + BUSY_LIMITS * limit;

    if (answered < asked)
        return asked + limit;
    return answered + limit < last ? answered + limit : last;
}

/* Returns true if that is news. One that goes on answering is not set aside for one question. */
static bool put_aside(struct store *store)
{
    uint64_t not_yet = 0;

    if (clock_now() - atomic_load(&store->answered) < limit)
        return false;
    return atomic_compare_exchange_strong(&store->aside_since, &not_yet, clock_now());
}

static void log_aside(const struct store *store)
{
    log_warning("store %s does not answer; the others are used meanwhile", store_name(store));
}

/* Sets the store aside if a question has missed its deadline, though no asker waited so long, as
 * there were other stores to ask. */
static void notice_hanging(struct store *store)
{
    uint64_t now = clock_now();
    bool is_news = false;

    pthread_mutex_lock(&store->lock);
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        if (store->begun[i] == NOTHING || store->begun[i] == GIVEN_UP ||
            store_deadline(store, store->begun[i]) > now)
            continue;
        store->begun[i] = GIVEN_UP;
        is_news |= put_aside(store);
    }
    pthread_mutex_unlock(&store->lock);
    if (is_news)
        log_aside(store);
}

/* Sees that a thread comes for one more task. The lock is held. */
static int provide_thread(struct store *store)
{
    if (store->idle > store->queued || store->threads >= THREADS_MAX)
        return 0;
    if (start_thread(store, serve_tasks) == 0)
        store->threads++;
    return store->threads > 0 ? 0 : -EAGAIN;
}

int store_submit(struct store *store, struct task *task, bool patient)
{
    notice_hanging(store);
    HOLD(&store->lock);
    uint64_t since = store->aside_since;
    if (since > 0 && !store->probing && clock_now() - since >= PROBE_AFTER)
        store->probing = start_thread(store, probe) == 0;
    int r = since > 0 && !patient ? -ETIMEDOUT : provide_thread(store);
    if (r < 0)
        return r;
    task->next_in_queue = NULL;
    *store->end = task;
    store->end = &task->next_in_queue;
    store->queued++;
    pthread_cond_signal(&store->work);
    return 0;
}

bool store_withdraw(struct store *store, struct task *task)
{
    HOLD(&store->lock);
    struct task **at = &store->first;
    while (*at && *at != task)
        at = &(*at)->next_in_queue;
    if (!*at)
        return false;
    *at = task->next_in_queue;
    if (store->end == &task->next_in_queue)
        store->end = at;
    store->queued--;
    return true;
}

void store_set_aside(struct store *store)
{
    if (put_aside(store))
        log_aside(store);
}

bool store_is_aside(struct store *store)
{
    return store->aside_since > 0;
}
