/* SPDX-License-Identifier: MIT */
#include "cli/sync_set.h"

#include "base/log.h"
#include "cli/sync_clean.h"
#include "sync/lock.h"
#include "sync/sample.h"
#include "tree/tree.h"

#include <stdio.h>
#include <string.h>

/* What nodes are asked for that were never up to date. */
static int list_few(const struct syncing *syncing, char **ret)
{
    uint64_t count;

    if (asprintf(ret, "%s/few.list", syncing->view.folder) < 0)
        return -ENOMEM;
    return sample_few(names_get(&syncing->shares, 0), *ret, rsync_operations.list_end, &count);
}

/* Writes the paths of the files that differ at NODE to LIST. Returns as state_different. */
static int list_different(const struct state *state, const struct node *node, const char *list)
{
    cleanup_names struct names paths = NO_NAMES;

    int count = state_different(state, node, &paths);
    if (count <= 0)
        return count;
    int r = sample_write_paths(&paths, list, mover_operations(node->mover)->list_end);
    return r < 0 ? r : count;
}

/*
 * What was found to differ at rclone's nodes, is sent again: a cloud keeps checksums beside the
 * bytes, and may give those of bytes that it has lost. rsync computes them.
 */
static int order_again(struct syncing *syncing, const struct state *state,
                       const struct names *lists, struct node_run *nodes, size_t *ret_count)
{
    size_t count = 0;

    for (size_t i = 0; i < syncing->set->count; i++) {
        const struct node *node = &syncing->set->nodes[i];
        if (node->mover != MOVER_RCLONE || state_differs_since(state, node) == 0)
            continue;
        int r = list_different(state, node, names_get(lists, i));
        if (r < 0)
            return r;
        syncing->outcomes[i].is_unknown = r == 0;
        if (r > 0)
            nodes[count++].order = (struct order){
                .node = node,
                .task = TASK_RESEND,
                .share = names_get(&syncing->shares, i),
                .list = names_get(lists, i),
                .dry_run = syncing->options->dry_run,
                .each_file = syncing->options->verbose,
            };
    }
    *ret_count = count;
    return 0;
}

/* NODES are those of the update, which goes on counting. */
static int send_again(struct syncing *syncing, const struct state *state, struct node_run *nodes)
{
    cleanup_free struct node_run *senders = calloc(syncing->set->count, sizeof *senders);
    cleanup_names struct names lists = NO_NAMES;
    size_t count = 0;

    int r = senders ? syncing_paths(syncing, syncing->view.folder, ".again", &lists) : -ENOMEM;
    if (r == 0)
        r = order_again(syncing, state, &lists, senders, &count);
    if (r == 0)
        r = syncing_run(syncing, senders, count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct node_run *updater = &nodes[senders[i].order.node - syncing->set->nodes];
        updater->files = node_run_files(&senders[i]);
        updater->bytes = node_run_bytes(&senders[i]);
        if (senders[i].result < 0)
            syncing_fail(syncing, &senders[i]);
    }
    return r;
}

/*
 * Notes that something may be left at the nodes from now on: whoever stops this run may stop it
 * for good. A node of which nothing is known may hold what a forgotten run has left.
 */
static int begin_all(const struct syncing *syncing, struct state *state)
{
    for (size_t i = 0; i < syncing->set->count; i++) {
        const struct node *node = &syncing->set->nodes[i];
        syncing->outcomes[i].since = state_unfinished_since(state, node);
        if (syncing->outcomes[i].since == 0 && state_as_of(state, node) == 0)
            syncing->outcomes[i].since = syncing->began;
        state_begin(state, node, syncing->began);
    }
    return syncing->options->dry_run ? 0 : state_write(state);
}

static int update_all(struct syncing *syncing, const struct state *state, struct node_run *nodes)
{
    const struct options *options = syncing->options;
    cleanup_free char *few = NULL;

    int r = list_few(syncing, &few);
    if (r < 0)
        return r;
    for (size_t i = 0; i < syncing->set->count; i++) {
        const struct node *node = &syncing->set->nodes[i];
        nodes[i].order = (struct order){
            .node = node,
            .task = TASK_UPDATE,
            .share = names_get(&syncing->shares, i),
            .dry_run = options->dry_run,
            .known = state_as_of(state, node) > 0,
            .checksum = options->checksum || state_differs_since(state, node) > 0,
            .everything = syncing->outcomes[i].is_unknown,
            .each_file = options->verbose,
            .few = few,
        };
        syncing->outcomes[i].run = &nodes[i];
    }
    r = syncing_run(syncing, nodes, syncing->set->count);
    for (size_t i = 0; i < syncing->set->count; i++) {
        struct outcome *outcome = &syncing->outcomes[i];
        if (nodes[i].result < 0)
            syncing_fail(syncing, &nodes[i]);
        if (outcome->since == 0 && (nodes[i].result < 0 || nodes[i].tries > 1))
            outcome->since = syncing->began;
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
        int r = sample_write(share, syncing->options->verify, syncing->began, list,
                             mover_operations(node->mover)->list_end, &outcome->verified);
        if (r < 0)
            return r;
        if (outcome->verified > 0)
            nodes[count++].order =
                (struct order){.node = node, .task = TASK_COMPARE, .share = share, .list = list};
    }
    *ret_count = count;
    return 0;
}

/* That a node cannot be compared does not mean that it is behind. */
static void judge(struct syncing *syncing, const struct node_run *compared)
{
    struct outcome *outcome = syncing_outcome(syncing, compared);

    outcome->different = compared->report.different;
    outcome->looked = compared->result == 0 || outcome->different > 0;
    if (outcome->different > 0)
        outcome->error = "it holds other bytes than were sent; the next run compares all";
    else if (compared->result < 0)
        log_warning("%s/%s: cannot be compared: %s", syncing->set->name, compared->order.node->name,
                    compared->report.reason);
}

static int verify_all(struct syncing *syncing)
{
    cleanup_free struct node_run *nodes = calloc(syncing->set->count, sizeof *nodes);
    cleanup_names struct names lists = NO_NAMES;
    size_t count = 0;

    if (!nodes)
        return -ENOMEM;
    int r = syncing_paths(syncing, syncing->view.folder, ".list", &lists);
    if (r == 0)
        r = order_comparing(syncing, &lists, nodes, &count);
    if (r == 0)
        r = syncing_run(syncing, nodes, count);
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

static void note_outcome(const struct syncing *syncing, const struct node *node,
                         struct outcome *outcome, struct state *state)
{
    const struct note note = {
        .when = syncing->began,
        .error = outcome->error,
        .different = outcome->different,
        .paths = &outcome->paths,
        .unfinished = outcome->since > 0,
    };
    time_t differed = state_differs_since(state, node);

    if (!syncing->options->dry_run)
        state_note(state, node, &note);
    outcome->as_of = state_as_of(state, node);
    outcome->differs_since = state_differs_since(state, node);
    outcome->mended_since = outcome->differs_since == 0 ? differed : 0;
}

/* What came of all nodes, told and remembered. Returns how many are up to date. */
static size_t conclude(struct syncing *syncing, struct state *state)
{
    size_t current = 0;

    for (size_t i = 0; i < syncing->set->count; i++) {
        const struct node *node = &syncing->set->nodes[i];
        struct outcome *outcome = &syncing->outcomes[i];
        note_outcome(syncing, node, outcome, state);
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
static enum exit_status run_nodes_of_set(struct syncing *syncing, struct state *state)
{
    cleanup_free struct node_run *nodes = calloc(syncing->set->count, sizeof *nodes);

    int r = nodes ? syncing_paths(syncing, syncing->view.mount, "", &syncing->shares) : -ENOMEM;
    if (r == 0)
        r = refuse_empty_source(syncing);
    if (r == 0)
        r = begin_all(syncing, state);
    if (r == 0)
        r = send_again(syncing, state, nodes);
    if (r == 0)
        r = update_all(syncing, state, nodes);
    if (r == 0 && !syncing->options->dry_run && !syncing->run.stop)
        r = sync_clean(syncing, nodes);
    if (r == 0 && syncing->options->verify > 0 && !syncing->run.stop)
        r = verify_all(syncing);
    if (r < 0)
        return EXIT_STATUS_FAILED;
    size_t current = conclude(syncing, state);
    enum exit_status status = status_of(syncing, current);
    if (!syncing->options->dry_run && state_write(state) < 0)
        status = EXIT_STATUS_FAILED;
    show_set(syncing->set, current, syncing->options->dry_run, status);
    return status;
}

static enum exit_status run_set(struct syncing *syncing, struct state *state)
{
    cleanup_free struct outcome *outcomes = calloc(syncing->set->count, sizeof *outcomes);

    if (!outcomes)
        return EXIT_STATUS_FAILED;
    syncing->outcomes = outcomes;
    enum exit_status status = run_nodes_of_set(syncing, state);
    for (size_t i = 0; i < syncing->set->count; i++)
        outcome_clear(&outcomes[i]);
    return status;
}

enum exit_status sync_set(const struct options *options, struct set *set, int signals,
                          bool *stopped)
{
    struct syncing syncing;
    cleanup_free char *folder = NULL;
    cleanup_fd int lock = -1;
    cleanup_state struct state *state = NULL;

    syncing_init(options, set, signals, &syncing);
    if (state_folder(&folder) < 0 || lock_take(folder, set->name, &lock) < 0 ||
        state_read(folder, set, &state) < 0 || private_view_open(set, lock, &syncing.view) < 0)
        return EXIT_STATUS_FAILED;
    enum exit_status status = run_set(&syncing, state);
    private_view_close(&syncing.view);
    names_clear(&syncing.shares);
    *stopped = syncing.run.stop;
    return status;
}
