/* SPDX-License-Identifier: MIT */
#include "cli/sync_clean.h"

#include "base/log.h"
#include "sync/leftovers.h"

#include <string.h>
#include <sys/stat.h>

/* What one step of all nodes works with. */
struct step {
    enum task task;
    struct names lists, places;
    struct node_run *nodes;
    size_t count;
};

static void step_clear(struct step *step)
{
    names_clear(&step->lists);
    names_clear(&step->places);
    free(step->nodes);
}

#define cleanup_step CLEANUP(step_clear)

static int step_begin(const struct syncing *syncing, enum task task, struct step *ret)
{
    const char *folder = syncing->view.folder;

    *ret = (struct step){.task = task};
    ret->nodes = calloc(syncing->set->count, sizeof *ret->nodes);
    int r = ret->nodes ? syncing_paths(syncing, folder, ".left", &ret->lists) : -ENOMEM;
    return r < 0 ? r
                 : syncing_paths(syncing, folder, task == TASK_FIND ? ".empty" : ".way",
                                 &ret->places);
}

static struct order *step_add(const struct syncing *syncing, size_t i, struct step *step)
{
    struct order *order = &step->nodes[step->count++].order;

    *order = (struct order){
        .node = &syncing->set->nodes[i],
        .task = step->task,
        .share = names_get(&syncing->shares, i),
        .list = names_get(&step->lists, i),
        .place = names_get(&step->places, i),
        .known = true,
        .since = syncing->outcomes[i].since,
    };
    return order;
}

/* The node is up to date nonetheless. */
static void fail(const struct syncing *syncing, const struct node *node, const char *reason)
{
    log_warning("%s/%s: what a stopped run has left there cannot be removed: %s",
                syncing->set->name, node->name, reason);
}

/* Ends the step. What it has done is done for good: only what failed is to be done again. */
static int step_run(struct syncing *syncing, struct step *step)
{
    int r = syncing_run(syncing, step->nodes, step->count);

    for (size_t i = 0; r == 0 && i < step->count; i++) {
        const struct node_run *node = &step->nodes[i];
        struct outcome *outcome = syncing_outcome(syncing, node);
        outcome->clean_failed = node->result < 0;
        if (node->result < 0 && !syncing->run.stop)
            fail(syncing, node->order.node, node->report.reason);
    }
    return r;
}

/* To be done where nothing was left undone. */
static bool is_wanted(const struct syncing *syncing, const struct node_run *nodes, size_t i)
{
    return syncing->outcomes[i].since > 0 && nodes[i].result == 0;
}

static int find_all(struct syncing *syncing, const struct node_run *nodes)
{
    cleanup_step struct step step = {0};

    int r = step_begin(syncing, TASK_FIND, &step);
    for (size_t i = 0; r == 0 && i < syncing->set->count; i++) {
        if (is_wanted(syncing, nodes, i))
            r = mkdir(step_add(syncing, i, &step)->place, 0700) < 0 ? -errno : 0;
    }
    return r < 0 ? r : step_run(syncing, &step);
}

/* Takes out of what was found what is the tree's, and writes down the rest. */
static int prepare(const struct syncing *syncing, size_t i, struct step *step)
{
    struct outcome *outcome = &syncing->outcomes[i];
    cleanup_names struct names chosen = NO_NAMES;

    int r = leftovers_choose(names_get(&syncing->shares, i), &outcome->left, &chosen);
    if (r < 0 || chosen.count == 0)
        return r;
    const struct order *order = step_add(syncing, i, step);
    outcome->cleaned = chosen.count;
    r = mover_operations(order->node->mover)->prepare(order, &chosen);
    if (r < 0) {
        step->count--;
        outcome->clean_failed = true;
        fail(syncing, order->node, strerrordesc_np(-r));
    }
    return 0;
}

static int remove_all_left(struct syncing *syncing, const struct node_run *nodes)
{
    cleanup_step struct step step = {0};

    int r = step_begin(syncing, TASK_REMOVE, &step);
    for (size_t i = 0; r == 0 && i < syncing->set->count; i++) {
        if (is_wanted(syncing, nodes, i) && !syncing->outcomes[i].clean_failed)
            r = prepare(syncing, i, &step);
    }
    return r < 0 ? r : step_run(syncing, &step);
}

int sync_clean(struct syncing *syncing, const struct node_run *nodes)
{
    int r = find_all(syncing, nodes);

    if (r == 0)
        r = remove_all_left(syncing, nodes);
    if (r < 0)
        log_errno(r, "%s: what stopped runs have left cannot be removed", syncing->set->name);
    for (size_t i = 0; i < syncing->set->count; i++) {
        struct outcome *outcome = &syncing->outcomes[i];
        if (r < 0 || outcome->clean_failed)
            outcome->cleaned = 0;
        else if (is_wanted(syncing, nodes, i))
            outcome->since = 0;
    }
    return r;
}
