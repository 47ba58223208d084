/* SPDX-License-Identifier: MIT */
#include "store/sites.h"

#include "base/lock.h"
#include "store/round.h"

#include <string.h>

/* A site that a thread is on its way to. */
struct site_visit {
    struct task task;
    struct site_visit *next; /* of those that are under way */
    struct site site;        /* with a store that was known, held */
    char path[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct site_visit *visits; /* all that are under way */

static void drop_visit(struct task *task)
{
    struct site_visit *visit = (struct site_visit *)task;

    {
        HOLD(&lock);
        struct site_visit **at = &visits;
        while (*at != visit)
            at = &(*at)->next;
        *at = visit->next;
    }
    if (visit->site.known)
        store_release(visit->site.known);
    if (visit->site.store)
        store_release(visit->site.store);
    names_clear(&visit->site.names);
    free(visit);
}

static void run_visit(struct task *task)
{
    struct site *site = &((struct site_visit *)task)->site;
    cleanup_tree struct tree *tree = NULL;

    if (site->lists) {
        site->result = tree_open(site->path, &tree);
        if (site->result == 0)
            site->result = tree_list(tree, "", &site->names);
    } else if (site->known && store_is_at(site->known, site->path)) {
        site->store = store_hold(site->known);
    } else {
        site->result = store_new(site->path, &site->store);
    }
}

/* Begins a visit; -ETIMEDOUT where an earlier one to the same path is not back. */
static int visit_begin(struct round *round, const struct site *site, struct site_visit **ret)
{
    cleanup_free struct site_visit *visit = calloc(1, sizeof *visit + strlen(site->path) + 1);

    if (!visit)
        return -ENOMEM;
    visit->task.run = run_visit;
    visit->task.drop = drop_visit;
    visit->site = *site;
    visit->site.path = strcpy(visit->path, site->path);
    {
        HOLD(&lock);
        for (const struct site_visit *other = visits; other; other = other->next) {
            if (strcmp(other->path, site->path) == 0)
                return -ETIMEDOUT;
        }
        visit->next = visits;
        visits = visit;
    }
    if (site->known)
        store_hold(site->known);
    *ret = steal_pointer(visit);
    round_put(round, NULL, &(*ret)->task);
    return 0;
}

int sites_ask(struct site items[], size_t count)
{
    cleanup_free struct site_visit **begun = calloc(count + 1, sizeof(struct site_visit *));
    cleanup_round struct round *round = NULL;

    if (!begun)
        return -ENOMEM;
    int r = round_new(&round);
    for (size_t i = 0; r == 0 && i < count; i++) {
        items[i].result = visit_begin(round, &items[i], &begun[i]);
        r = items[i].result == -ENOMEM ? -ENOMEM : 0;
    }
    if (r < 0)
        return r;
    round_wait_for_all(round);
    if (round_shortage(round) < 0)
        return round_shortage(round);
    for (size_t i = 0; i < count; i++) {
        if (!begun[i])
            continue;
        struct site *site = &begun[i]->site;
        items[i].result = begun[i]->task.state == TASK_ANSWERED ? site->result : -ETIMEDOUT;
        if (items[i].result < 0)
            continue;
        items[i].store = steal_pointer(site->store);
        items[i].names = site->names;
        site->names = NO_NAMES;
    }
    return 0;
}

int sites_list(const char *path, struct names *names)
{
    struct site site = {.path = path, .lists = true};

    int r = sites_ask(&site, 1);
    if (r == 0)
        r = site.result;
    if (r == 0)
        *names = site.names;
    return r;
}
