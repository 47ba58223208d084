/* SPDX-License-Identifier: MIT */
#include "cli/works.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/background.h"
#include "cli/output.h"
#include "cli/syncing.h"
#include "sync/config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

static int choose_config(const struct work *work, char **ret)
{
    const char *folder = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int length;

    if (work->config)
        length = asprintf(ret, "%s", work->config);
    else if (geteuid() == 0)
        length = asprintf(ret, "/etc/zfec-fs/sets.ini");
    else if (folder && *folder == '/')
        length = asprintf(ret, "%s/zfec-fs/sets.ini", folder);
    else
        length = asprintf(ret, "%s/.config/zfec-fs/sets.ini", home ? home : "");
    return length < 0 ? -ENOMEM : 0;
}

static bool is_wanted(const struct work *work, const struct set *set)
{
    for (size_t i = 0; i < work->word_count; i++) {
        if (strcmp(work->words[i], set->name) == 0)
            return true;
    }
    return work->word_count == 0;
}

/* Lost comes before failed, and failed before damaged. */
static enum exit_status worse(enum exit_status one, enum exit_status other)
{
    if (one == EXIT_STATUS_LOST || other == EXIT_STATUS_LOST)
        return EXIT_STATUS_LOST;
    return one > other ? one : other;
}

static enum exit_status sync_all(const struct work *work, struct sets *sets, int signals)
{
    enum exit_status status = EXIT_STATUS_OK;
    double began = clock_seconds();
    bool stopped = false;
    int count = 0;

    for (size_t i = 0; i < sets->count && !stopped; i++) {
        if (!is_wanted(work, &sets->sets[i]))
            continue;
        status = worse(status, sync_set(work, &sets->sets[i], signals, &stopped));
        count++;
    }
    output_json("summary", json_pack("{s:s, s:b, s:i, s:f, s:i}", "command", "sync", "dry_run",
                                     work->dry_run, "sets", count, "seconds",
                                     clock_seconds() - began, "exit_status", status));
    return status;
}

enum exit_status sync_command(struct work *work)
{
    cleanup_sets struct sets sets = {0};
    cleanup_free char *path = NULL;
    sigset_t passed;

    int r = choose_config(work, &path);
    if (r == 0)
        r = config_read(path, &sets);
    for (size_t i = 0; r == 0 && i < work->word_count; i++) {
        if (!sets_find(&sets, work->words[i])) {
            log_error("%s: there is no such set in %s", work->words[i], path);
            r = -EINVAL;
        }
    }
    if (r < 0)
        return r == -EINVAL ? EXIT_STATUS_USAGE : EXIT_STATUS_FAILED;
    background_signals(&passed);
    sigprocmask(SIG_BLOCK, &passed, NULL);
    cleanup_fd int signals = signalfd(-1, &passed, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0) {
        log_errno(-errno, "sync");
        return EXIT_STATUS_FAILED;
    }
    return sync_all(work, &sets, signals);
}
