/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include "cli/chosen.h"
#include "cli/metrics.h"
#include "cli/standing.h"
#include "cli/sync_sets.h"
#include "sync/state.h"

/* Shows what is known of SET. It is read while a run may replace it, and so takes no lock. */
static enum exit_status show_set(const char *folder, struct sync_set *set)
{
    int r = state_read(folder, set);

    if (r < 0 && r != -ENOENT) { /* which was logged */
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
        status = standing_worse(status, show_set(folder, &sets.sets[i]));
        count++;
    }
    if (metrics_write(options, &sets) < 0)
        status = standing_worse(status, EXIT_STATUS_FAILED);
    output_json("summary", json_pack("{s:s, s:i, s:i}", "command", "status", "sets", count,
                                     "exit_status", status));
    return status;
}
