/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include "base/log.h"
#include "cli/asking.h"
#include "cli/chosen.h"
#include "cli/metrics.h"
#include "cli/standing.h"
#include "cli/sync_sets.h"
#include "sync/state.h"

/* Shows the state of SET, without a lock: a run replaces the state's file as a whole. */
static enum exit_status show_set(const char *folder, struct sync_set *set)
{
    int r = state_read(folder, set);

    if (r < 0 && r != -ENOENT) { /* logged already */
        output_json("status",
                    json_pack("{s:s, s:s, s:i}", "set", set->name, "error",
                              "its state cannot be read", "exit_status", EXIT_STATUS_FAILED));
        return EXIT_STATUS_FAILED;
    }
    const struct standing standing = standing_of(set, time(NULL));
    standing_show(&standing, set);
    output_json("status", standing_json(&standing, set));
    return standing.status;
}

/* Asks the nodes of a set without a source for their descriptions. */
static enum exit_status ask_set(const struct options *options, struct sync_set *set)
{
    cleanup_asking struct asking asking = {.signals = -1};
    cleanup_free char *told = asking_text(set);
    struct telling *tellings = NULL;
    size_t there = 0;

    if (asking_begin(options->jobs, &asking) < 0)
        return EXIT_STATUS_FAILED;
    int r = told ? asking_nodes(&asking, set->nodes, set->count, &tellings) : -ENOMEM;
    if (r < 0)
        log_errno(r, "%s", set->name);
    else
        there = asking_show(set, tellings, told);
    asking_free(tellings, set->count);
    return r < 0 ? EXIT_STATUS_FAILED : standing_status(set, there);
}

enum exit_status status_command(struct options *options)
{
    cleanup_sets struct sets sets = {0};
    cleanup_free char *folder = NULL;
    int count = 0;

    enum exit_status status = chosen_read(options, &sets);
    if (status != EXIT_STATUS_OK)
        return status;
    if (state_folder(&folder) < 0)
        return EXIT_STATUS_FAILED;
    options->dry_run = options->ask;
    if (options->ask)
        status = sync_sets(options, &sets, &count);
    count = 0;
    for (size_t i = 0; i < sets.count; i++) {
        if (!chosen_has(options, &sets.sets[i]))
            continue;
        count++;
        bool is_asked = options->ask && !sets.sets[i].source;
        if (is_asked)
            status = standing_worse(status, ask_set(options, &sets.sets[i]));
        if (is_asked && state_read(folder, &sets.sets[i]) == -ENOENT &&
            !standing_is_known(&sets.sets[i]))
            continue; /* nothing more to say */
        status = standing_worse(status, show_set(folder, &sets.sets[i]));
    }
    if (metrics_write(options, &sets) < 0)
        status = standing_worse(status, EXIT_STATUS_FAILED);
    output_json("summary", json_pack("{s:s, s:i, s:i}", "command", "status", "sets", count,
                                     "exit_status", status));
    return status;
}
