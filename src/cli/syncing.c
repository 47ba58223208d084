/* SPDX-License-Identifier: MIT */
#include "cli/syncing.h"

#include "base/log.h"
#include "cli/background.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#define PACE_S 0.2

/* So many paths are remembered of the files that differ at a node. */
enum { KEPT_MAX = 1000 };

static void woken(void *context)
{
    struct syncing *syncing = context;
    struct signalfd_siginfo signal;

    if (read(syncing->run.wake, &signal, sizeof signal) != sizeof signal)
        return;
    if ((int)signal.ssi_signo == background_signal(SIGUSR1)) {
        show_nodes(syncing->set, &syncing->run, true);
    } else if (!syncing->run.stop) {
        syncing->run.stop = true;
        log_error("sync: stopping; what is done stays done");
    }
}

static void look(void *context)
{
    const struct syncing *syncing = context;

    show_nodes(syncing->set, &syncing->run, false);
}

static void happened(void *context, const struct node_run *node, enum node_event event)
{
    const struct syncing *syncing = context;

    struct outcome *outcome = syncing_outcome(syncing, node);

    /* The next try finds them again. */
    if (event == NODE_FAILS_FOR_NOW && node->order.task == TASK_COMPARE)
        names_clear(&outcome->paths);
    else if (event == NODE_FAILS_FOR_NOW && node->order.task == TASK_FIND)
        names_clear(&outcome->left);
    show_event(syncing->set, node, event);
}

/* What one file's move is told with. */
struct telling {
    const struct syncing *syncing;
    const struct node_run *node;
};

static void told(void *context, enum move move, const char *path)
{
    const struct telling *telling = context;
    const struct options *options = telling->syncing->options;
    struct outcome *outcome = syncing_outcome(telling->syncing, telling->node);

    if (move == MOVE_LEFT) {
        names_add(&outcome->left, path); /* where that fails, it is left */
        return;
    }
    if (move == MOVE_DIFFERENT && outcome->paths.count < KEPT_MAX)
        names_add(&outcome->paths, path); /* where that fails, it counts as one not kept */
    if (move == MOVE_DIFFERENT || options->dry_run || options->verbose)
        show_move(telling->syncing->set, telling->node, move, path);
}

void syncing_init(const struct options *options, struct set *set, int signals, struct syncing *ret)
{
    *ret = (struct syncing){.options = options, .set = set, .began = time(NULL)};
    ret->run = (struct run){
        .jobs = options->jobs,
        .wake = signals,
        .pace = PACE_S,
        .context = ret,
        .woken = woken,
        .look = look,
        .happened = happened,
    };
}

int syncing_run(struct syncing *syncing, struct node_run *nodes, size_t count)
{
    cleanup_free struct telling *tellings = calloc(count + 1, sizeof *tellings);
    struct run *run = &syncing->run;

    if (!tellings)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        tellings[i] = (struct telling){syncing, &nodes[i]};
        nodes[i].report.context = &tellings[i];
        nodes[i].report.told = told;
    }
    run->nodes = nodes;
    run->count = count;
    run_nodes(run);
    return 0;
}

int syncing_paths(const struct syncing *syncing, const char *folder, const char *suffix,
                  struct names *ret)
{
    struct words paths = {.names = NO_NAMES};

    for (size_t i = 0; i < syncing->set->count; i++)
        words_add(&paths, "%s/%02x%s", folder, (uint8_t)syncing->set->nodes[i].share, suffix);
    *ret = paths.names;
    return paths.failed ? -ENOMEM : 0;
}

struct outcome *syncing_outcome(const struct syncing *syncing, const struct node_run *node)
{
    return &syncing->outcomes[node->order.node - syncing->set->nodes];
}

void syncing_fail(const struct syncing *syncing, const struct node_run *node)
{
    struct outcome *outcome = syncing_outcome(syncing, node);

    if (outcome->error)
        return;
    outcome->kept_error = strdup(node->report.reason);
    outcome->error = outcome->kept_error ? outcome->kept_error : "it failed";
}
