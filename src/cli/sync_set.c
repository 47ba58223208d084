/* SPDX-License-Identifier: MIT */
#include "cli/sync_set.h"

#include "base/log.h"
#include "cli/background.h"
#include "cli/private_view.h"
#include "cli/sync_show.h"
#include "sync/lock.h"
#include "sync/sample.h"
#include "tree/tree.h"

#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>

#define PACE_S 0.2

/* One run of one set. */
struct syncing {
    const struct work *work;
    struct set *set;
    struct private_view view;
    struct run run;
    struct names shares;      /* the directory of each node's share */
    struct outcome *outcomes; /* one for each node */
    time_t began;
};

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
    const struct work *work = telling->syncing->work;

    if (move == MOVE_DIFFERENT || work->dry_run || work->verbose)
        show_move(telling->syncing->set, telling->node, move, path);
}

/* Runs what the orders of NODES say. */
static int run_all(struct syncing *syncing, struct node_run *nodes, size_t count)
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

/* FOLDER/NAME for each node, NAME being its share and SUFFIX. */
static int name_paths(const struct syncing *syncing, const char *folder, const char *suffix,
                      struct names *ret)
{
    struct words paths = {.names = NO_NAMES};

    for (size_t i = 0; i < syncing->set->count; i++)
        words_add(&paths, "%s/%02x%s", folder, (uint8_t)syncing->set->nodes[i].share, suffix);
    *ret = paths.names;
    return paths.failed ? -ENOMEM : 0;
}

/* What nodes are asked for that were never up to date. */
static int list_few(const struct syncing *syncing, char **ret)
{
    uint64_t count;

    if (asprintf(ret, "%s/few.list", syncing->view.folder) < 0)
        return -ENOMEM;
    return sample_few(names_get(&syncing->shares, 0), *ret, rsync_operations.list_end, &count);
}

static int update_all(struct syncing *syncing, const struct state *state, struct node_run *nodes)
{
    const struct work *work = syncing->work;
    cleanup_free char *few = NULL;

    int r = list_few(syncing, &few);
    if (r < 0)
        return r;
    for (size_t i = 0; i < syncing->set->count; i++) {
        nodes[i].order = (struct order){
            .node = &syncing->set->nodes[i],
            .share = names_get(&syncing->shares, i),
            .dry_run = work->dry_run,
            .known = state_as_of(state, &syncing->set->nodes[i]) > 0,
            .checksum = work->checksum,
            .each_file = work->verbose,
            .few = few,
        };
        syncing->outcomes[i].run = &nodes[i];
    }
    r = run_all(syncing, nodes, syncing->set->count);
    for (size_t i = 0; i < syncing->set->count; i++) {
        if (nodes[i].result < 0)
            syncing->outcomes[i].error = nodes[i].report.reason;
    }
    return r;
}

/* Of the nodes that are up to date, those for which there is something to compare. */
static int order_comparing(struct syncing *syncing, const struct names *lists,
                           struct node_run *nodes, size_t *ret_count)
{
    size_t count = 0;

    for (size_t i = 0; i < syncing->set->count; i++) {
        struct outcome *outcome = &syncing->outcomes[i];
        const struct node *node = &syncing->set->nodes[i];
        const char *share = names_get(&syncing->shares, i), *list = names_get(lists, i);
        if (outcome->error)
            continue;
        int r = sample_write(share, syncing->work->verify, syncing->began, list,
                             mover_operations(node->mover)->list_end, &outcome->verified);
        if (r < 0)
            return r;
        if (outcome->verified > 0)
            nodes[count++].order = (struct order){.node = node, .share = share, .list = list};
    }
    *ret_count = count;
    return 0;
}

/* That a node cannot be compared does not mean that it is behind. */
static void judge(struct syncing *syncing, const struct node_run *compared)
{
    const struct node *node = compared->order.node;
    struct outcome *outcome = &syncing->outcomes[node - syncing->set->nodes];

    outcome->different = compared->report.different;
    outcome->looked = compared->result == 0 || outcome->different > 0;
    if (outcome->different > 0)
        outcome->error = "what it holds is not what was sent; run sync --checksum";
    else if (compared->result < 0)
        log_warning("%s/%s: cannot be compared: %s", syncing->set->name, node->name,
                    compared->report.reason);
}

static int verify_all(struct syncing *syncing)
{
    cleanup_free struct node_run *nodes = calloc(syncing->set->count, sizeof *nodes);
    cleanup_names struct names lists = NO_NAMES;
    size_t count = 0;

    if (!nodes)
        return -ENOMEM;
    int r = name_paths(syncing, syncing->view.folder, ".list", &lists);
    if (r == 0)
        r = order_comparing(syncing, &lists, nodes, &count);
    if (r == 0)
        r = run_all(syncing, nodes, count);
    for (size_t i = 0; r == 0 && i < count; i++)
        judge(syncing, &nodes[i]);
    return r;
}

/* A source that is not mounted looks like one from which all was deleted. */
static int refuse_empty_source(const struct syncing *syncing)
{
    cleanup_names struct names names = NO_NAMES;
    cleanup_tree struct tree *share = NULL;
    bool removes = false;

    for (size_t i = 0; i < syncing->set->count; i++)
        removes |= syncing->set->nodes[i].terms.remove;
    int r = removes ? tree_open(names_get(&syncing->shares, 0), &share) : 0;
    if (share)
        r = tree_list(share, "", &names);
    if (r < 0)
        return log_errno(r, "%s: cannot be read", syncing->set->source);
    if (removes && names.count == 0) {
        log_error("%s: is empty: is it mounted? with delete = yes all would be deleted",
                  syncing->set->source);
        return -ENOENT;
    }
    return 0;
}

/* What came of all nodes, told and remembered. Returns how many are up to date. */
static size_t conclude(struct syncing *syncing, struct state *state)
{
    size_t current = 0;

    for (size_t i = 0; i < syncing->set->count; i++) {
        const struct node *node = &syncing->set->nodes[i];
        struct outcome *outcome = &syncing->outcomes[i];
        if (!syncing->work->dry_run)
            state_note(state, node, syncing->began, outcome->error);
        outcome->as_of = state_as_of(state, node);
        show_outcome(syncing->set, outcome);
        current += !outcome->error;
    }
    return current;
}

static enum exit_status status_of(const struct syncing *syncing, size_t current)
{
    if (syncing->run.stop)
        return EXIT_STATUS_FAILED;
    return current == syncing->set->count               ? EXIT_STATUS_OK
           : current >= syncing->set->encoding.required ? EXIT_STATUS_DAMAGED
                                                        : EXIT_STATUS_LOST;
}

/* With the view mounted. */
static enum exit_status run_set(struct syncing *syncing, struct state *state)
{
    cleanup_free struct node_run *nodes = calloc(syncing->set->count, sizeof *nodes);
    cleanup_free struct outcome *outcomes = calloc(syncing->set->count, sizeof *outcomes);

    if (!nodes || !outcomes)
        return EXIT_STATUS_FAILED;
    syncing->outcomes = outcomes;
    int r = name_paths(syncing, syncing->view.mount, "", &syncing->shares);
    if (r == 0)
        r = refuse_empty_source(syncing);
    if (r == 0)
        r = update_all(syncing, state, nodes);
    if (r == 0 && syncing->work->verify > 0 && !syncing->run.stop)
        r = verify_all(syncing);
    if (r < 0)
        return EXIT_STATUS_FAILED;
    size_t current = conclude(syncing, state);
    enum exit_status status = status_of(syncing, current);
    if (!syncing->work->dry_run && state_write(state) < 0)
        status = EXIT_STATUS_FAILED;
    show_set(syncing->set, current, syncing->work->dry_run, status);
    return status;
}

enum exit_status sync_set(const struct work *work, struct set *set, int signals, bool *stopped)
{
    struct syncing syncing = {.work = work, .set = set, .began = time(NULL)};
    cleanup_free char *folder = NULL;
    cleanup_fd int lock = -1;
    cleanup_state struct state *state = NULL;

    syncing.run = (struct run){
        .jobs = work->jobs,
        .wake = signals,
        .pace = PACE_S,
        .context = &syncing,
        .woken = woken,
        .look = look,
        .happened = happened,
    };
    if (state_folder(&folder) < 0 || lock_take(folder, set->name, &lock) < 0 ||
        state_read(folder, set, &state) < 0 || private_view_open(set, lock, &syncing.view) < 0)
        return EXIT_STATUS_FAILED;
    enum exit_status status = run_set(&syncing, state);
    private_view_close(&syncing.view);
    names_clear(&syncing.shares);
    *stopped = syncing.run.stop;
    return status;
}
