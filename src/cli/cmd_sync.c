/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/background.h"
#include "cli/output.h"
#include "cli/sync_set.h"
#include "sync/config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

static int choose_config(const struct options *options, char **ret)
{
    const char *folder = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int length;

    if (options->config)
        length = asprintf(ret, "%s", options->config);
    else if (geteuid() == 0)
        length = asprintf(ret, "/etc/zfec-fs/sets.ini");
    else if (folder && *folder == '/')
        length = asprintf(ret, "%s/zfec-fs/sets.ini", folder);
    else
        length = asprintf(ret, "%s/.config/zfec-fs/sets.ini", home ? home : "");
    return length < 0 ? -ENOMEM : 0;
}

static int read_sets(const struct options *options, struct sets *ret)
{
    cleanup_free char *path = NULL;

    int r = choose_config(options, &path);
    if (r == 0)
        r = config_read(path, ret);
    for (size_t i = 0; r == 0 && i < options->word_count; i++) {
        if (!sets_find(ret, options->words[i])) {
            log_error("%s: there is no such set in %s", options->words[i], path);
            r = -EINVAL;
        }
    }
    return r;
}

static bool is_wanted(const struct options *options, const struct set *set)
{
    for (size_t i = 0; i < options->word_count; i++) {
        if (strcmp(options->words[i], set->name) == 0)
            return true;
    }
    return options->word_count == 0;
}

/* Lost comes before failed, and failed before damaged. */
static enum exit_status worse(enum exit_status one, enum exit_status other)
{
    if (one == EXIT_STATUS_LOST || other == EXIT_STATUS_LOST)
        return EXIT_STATUS_LOST;
    return one > other ? one : other;
}

static enum exit_status sync_all(const struct options *options, struct sets *sets, int signals)
{
    enum exit_status status = EXIT_STATUS_OK;
    double began = clock_seconds();
    bool stopped = false;
    int count = 0;

    for (size_t i = 0; i < sets->count && !stopped; i++) {
        if (!is_wanted(options, &sets->sets[i]))
            continue;
        status = worse(status, sync_set(options, &sets->sets[i], signals, &stopped));
        count++;
    }
    output_json("summary", json_pack("{s:s, s:b, s:i, s:f, s:i}", "command", "sync", "dry_run",
                                     options->dry_run, "sets", count, "seconds",
                                     clock_seconds() - began, "exit_status", status));
    return status;
}

enum exit_status sync_command(struct options *options)
{
    cleanup_sets struct sets sets = {0};
    sigset_t passed;

    int r = read_sets(options, &sets);
    if (r < 0)
        return r == -EINVAL ? EXIT_STATUS_USAGE : EXIT_STATUS_FAILED;
    background_signals(&passed);
    sigprocmask(SIG_BLOCK, &passed, NULL);
    cleanup_fd int signals = signalfd(-1, &passed, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0) {
        log_errno(-errno, "sync");
        return EXIT_STATUS_FAILED;
    }
    return sync_all(options, &sets, signals);
}
