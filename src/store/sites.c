/* SPDX-License-Identifier: MIT */
#include "store/sites.h"

#include "store/round.h"

#include <pthread.h>
#include <string.h>

/* A question for a path, and its answer. */
struct site_visit {
    struct task task;
    struct sites *sites;     /* held */
    struct site_visit *next; /* of those that are under way */
    bool lists;              /* asked for the names in it; otherwise for the store */
    struct store *known, *store;
    struct names names;
    int result;
    char path[];
};

struct sites {
    pthread_mutex_t lock;
    unsigned holders; /* the user, and the visits */
    struct site_visit *visits;
};

int sites_new(struct sites **ret)
{
    struct sites *sites = calloc(1, sizeof *sites);

    if (!sites)
        return -ENOMEM;
    pthread_mutex_init(&sites->lock, NULL);
    sites->holders = 1;
    *ret = sites;
    return 0;
}

/* Takes one holder away, with the lock held, which it lets go; the last one frees the sites. */
static void unhold(struct sites *sites)
{
    bool last = --sites->holders == 0;

    pthread_mutex_unlock(&sites->lock);
    if (last) {
        pthread_mutex_destroy(&sites->lock);
        free(sites);
    }
}

void sites_free(struct sites *sites)
{
    pthread_mutex_lock(&sites->lock);
    unhold(sites);
}

/* Returns true if a thread is still on its way to PATH. The lock is held. */
static bool is_visited(const struct sites *sites, const char *path)
{
    for (const struct site_visit *visit = sites->visits; visit; visit = visit->next) {
        if (strcmp(visit->path, path) == 0)
            return true;
    }
    return false;
}

static void drop_visit(struct task *task)
{
    struct site_visit *visit = (struct site_visit *)task;
    struct sites *sites = visit->sites;

    pthread_mutex_lock(&sites->lock);
    struct site_visit **at = &sites->visits;
    while (*at != visit)
        at = &(*at)->next;
    *at = visit->next;
    unhold(sites);
    if (visit->known)
        store_release(visit->known);
    if (visit->store)
        store_release(visit->store);
    names_clear(&visit->names);
    free(visit);
}

static int list(const char *path, struct names *names)
{
    cleanup_tree struct tree *tree = NULL;

    int r = tree_open(path, &tree);
    return r < 0 ? r : tree_list(tree, "", names);
}

static void run_visit(struct task *task)
{
    struct site_visit *visit = (struct site_visit *)task;

    if (visit->lists)
        visit->result = list(visit->path, &visit->names);
    else if (visit->known && store_is_at(visit->known, visit->path))
        visit->store = store_hold(visit->known);
    else
        visit->result = store_new(visit->path, &visit->store);
}

/* A visit to PATH that is registered; -ETIMEDOUT where an earlier one is not back. */
static int visit_new(struct sites *sites, const char *path, struct site_visit **ret)
{
    struct site_visit *visit = calloc(1, sizeof *visit + strlen(path) + 1);

    if (!visit)
        return -ENOMEM;
    visit->task.run = run_visit;
    visit->task.drop = drop_visit;
    visit->sites = sites;
    strcpy(visit->path, path);
    pthread_mutex_lock(&sites->lock);
    bool visited = is_visited(sites, path);
    if (!visited) {
        visit->next = sites->visits;
        sites->visits = visit;
        sites->holders++;
    }
    pthread_mutex_unlock(&sites->lock);
    if (visited) {
        free(visit);
        return -ETIMEDOUT;
    }
    *ret = visit;
    return 0;
}

static int ask(struct sites *sites, struct round *round, const struct site *site,
               struct site_visit **ret, enum task_state *state)
{
    int r = visit_new(sites, site->path, ret);

    if (r < 0)
        return r;
    (*ret)->known = site->known ? store_hold(site->known) : NULL;
    round_put(round, NULL, &(*ret)->task, state);
    return 0;
}

static void note_answer(struct site *site, struct site_visit *visit, enum task_state state)
{
    site->result = state == TASK_ANSWERED ? visit->result : -ETIMEDOUT;
    if (site->result == 0)
        site->store = steal_pointer(visit->store);
}

int sites_ask(struct sites *sites, struct site items[], size_t count)
{
    cleanup_free struct site_visit **visits = calloc(count + 1, sizeof(struct site_visit *));
    cleanup_free enum task_state *states = calloc(count + 1, sizeof *states);
    cleanup_round struct round *round = NULL; /* left first: it writes to the others */

    if (!visits || !states)
        return -ENOMEM;
    int r = round_new(&round);
    for (size_t i = 0; r == 0 && i < count; i++) {
        items[i].result = ask(sites, round, &items[i], &visits[i], &states[i]);
        r = items[i].result == -ENOMEM ? -ENOMEM : 0;
    }
    if (r < 0)
        return r;
    round_wait_for_all(round);
    if (round_shortage(round) < 0)
        return round_shortage(round);
    for (size_t i = 0; i < count; i++) {
        if (visits[i])
            note_answer(&items[i], visits[i], states[i]);
    }
    return 0;
}

int sites_list(struct sites *sites, const char *path, struct names *names)
{
    enum task_state state;
    cleanup_round struct round *round = NULL;
    struct site_visit *visit;

    int r = round_new(&round);
    if (r < 0)
        return r;
    r = visit_new(sites, path, &visit);
    if (r < 0)
        return r;
    visit->lists = true;
    round_put(round, NULL, &visit->task, &state);
    round_wait_for_all(round);
    if (round_shortage(round) < 0)
        return round_shortage(round);
    if (state != TASK_ANSWERED)
        return -ETIMEDOUT;
    if (visit->result < 0)
        return visit->result;
    *names = visit->names;
    visit->names = NO_NAMES;
    return 0;
}
