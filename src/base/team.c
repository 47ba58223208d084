/* SPDX-License-Identifier: MIT */
#include "base/team.h"

#include "base/clock.h"
#include "base/thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

enum {
    TEAM_MAX = 16,
    HELPERS_MAX = 64, /* of all teams */
    IDLE_LIMIT = 10 * CLOCK_SECOND,
};

struct team {
    void (*body)(void *context);
    void *context;
    size_t wanted, helping; /* helpers that may still come, and that are there */
    pthread_cond_t left;
    struct team *next;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct team *teams; /* that have something to do, and of which some want helpers */
    size_t wanted;      /* helpers, by all teams */
    size_t threads, busy;
} helpers = {.lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};

static struct team *find_wanting(void)
{
    struct team *team = helpers.teams;

    while (team && team->wanted == 0)
        team = team->next;
    return team;
}

/* Waits for a team that wants help; NULL where none came for a long time. The lock is held. */
static struct team *next_team(void)
{
    struct timespec limit = clock_timespec(clock_now() + IDLE_LIMIT);
    int r = 0;

    while (helpers.wanted == 0 && r == 0)
        r = pthread_cond_clockwait(&helpers.work, &helpers.lock, CLOCK_MONOTONIC, &limit);
    return find_wanting();
}

static void *help(void *nothing)
{
    struct team *team;

    pthread_mutex_lock(&helpers.lock);
    while ((team = next_team())) {
        team->wanted--;
        helpers.wanted--;
        team->helping++;
        helpers.busy++;
        pthread_mutex_unlock(&helpers.lock);
        team->body(team->context);
        pthread_mutex_lock(&helpers.lock);
        helpers.busy--;
        if (--team->helping == 0)
            pthread_cond_signal(&team->left);
    }
    helpers.threads--;
    pthread_mutex_unlock(&helpers.lock);
    return nothing;
}

static void call_helpers(struct team *team, size_t count)
{
    pthread_mutex_lock(&helpers.lock);
    team->next = helpers.teams;
    helpers.teams = team;
    team->wanted = count;
    helpers.wanted += count;
    while (helpers.threads < HELPERS_MAX && helpers.threads - helpers.busy < helpers.wanted &&
           thread_start(help, NULL) == 0)
        helpers.threads++;
    for (size_t i = 0; i < count; i++)
        pthread_cond_signal(&helpers.work);
    pthread_mutex_unlock(&helpers.lock);
}

/* Who comes later than this comes too late. */
static void dismiss_helpers(struct team *team)
{
    pthread_mutex_lock(&helpers.lock);
    struct team **at = &helpers.teams;
    while (*at != team)
        at = &(*at)->next;
    *at = team->next;
    helpers.wanted -= team->wanted;
    while (team->helping > 0)
        pthread_cond_wait(&team->left, &helpers.lock);
    pthread_mutex_unlock(&helpers.lock);
}

void team_run(size_t size, void (*body)(void *context), void *context)
{
    struct team team = {.body = body, .context = context, .left = PTHREAD_COND_INITIALIZER};
    size_t others = (size < TEAM_MAX ? size : TEAM_MAX) - 1;

    if (size <= 1) {
        body(context);
        return;
    }
    call_helpers(&team, others);
    body(context);
    dismiss_helpers(&team);
    pthread_cond_destroy(&team.left);
}
