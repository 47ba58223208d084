/* SPDX-License-Identifier: MIT */
#include "cli/meter.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/background.h"
#include "cli/output.h"

#include <stdio.h>
#include <string.h>

enum {
    STEP_NS = 200 * 1000 * 1000,
    SHOWN_AFTER_S = 1,
};

/* What part has to be done before it says how long the rest takes. */
static const double KNOWN_FROM = 0.01;

double meter_seconds(const struct meter *meter)
{
    return clock_seconds() - meter->started;
}

/* Adds "12,345 of 50,000 files"; the total only where it is known. */
static void draft_files(struct draft *text, const struct progress *progress)
{
    uint64_t files = atomic_load(&progress->files), all = atomic_load(&progress->all_files);

    draft_add(text, "%s", show_count(files).text);
    if (all > 0)
        draft_add(text, " of %s", show_count(all).text);
    draft_add(text, " file%s", plural(all > 0 ? all : files));
}

static void stop(struct meter *meter)
{
    struct draft files = {0};

    atomic_store(&meter->progress.stop, true);
    draft_files(&files, &meter->progress);
    cleanup_free char *done = draft_take(&files);
    log_error("%s: stopping at %s; %s", meter->name, done ? done : "once", meter->after_stop);
}

/* "encode: 12,345 of 50,000 files, 1.2 of 4.5 GB, 27 %, 180 MB/s, 0:12 left, some/path" */
static void show_progress(struct meter *meter, bool always)
{
    struct progress *progress = &meter->progress;
    uint64_t files = atomic_load(&progress->files);
    uint64_t bytes = atomic_load(&progress->bytes) + atomic_load(&progress->ahead);
    uint64_t all_files = atomic_load(&progress->all_files);
    uint64_t all_bytes = atomic_load(&progress->all_bytes);
    double seconds = meter_seconds(meter);
    char path[sizeof progress->path];
    struct draft text = {0};

    pthread_mutex_lock(&progress->lock);
    memcpy(path, progress->path, sizeof path);
    pthread_mutex_unlock(&progress->lock);
    double done = all_files > 0 ? (double)files / (double)all_files : 0;
    if (all_bytes > 0) /* a file costs about as much as 100 kB do */
        done =
            ((double)bytes + 1e5 * (double)files) / ((double)all_bytes + 1e5 * (double)all_files);
    if (done > 1)
        done = 1;
    draft_add(&text, "%s: ", meter->name);
    if (files == 0 && bytes == 0) {
        draft_add(&text, "found %s file%s, %s", show_count(all_files).text, plural(all_files),
                  show_bytes(all_bytes).text);
    } else {
        draft_files(&text, progress);
        draft_add(&text, ", %s, %s/s", show_bytes(bytes).text,
                  show_bytes((uint64_t)((double)bytes / (seconds > 0 ? seconds : 1))).text);
    }
    if (done >= KNOWN_FROM)
        draft_add(&text, ", %.0f %%, %s left", 100 * done,
                  show_time(seconds / done - seconds).text);
    draft_add(&text, "  %s", path);
    cleanup_free char *line = draft_take(&text);
    cleanup_free char *shown = line ? log_escape(line) : NULL;
    if (shown) /* a path may hold a newline */
        output_progress(shown, always);
}

static void *watch(void *opaque)
{
    const struct timespec step = {.tv_nsec = STEP_NS};
    struct meter *meter = opaque;
    sigset_t signals;

    background_signals(&signals);
    while (!atomic_load(&meter->ended)) {
        int number = sigtimedwait(&signals, NULL, &step);
        if (atomic_load(&meter->ended))
            break;
        if (number == background_signal(SIGUSR1)) {
            show_progress(meter, !output_has_progress());
        } else if (number > 0) {
            stop(meter);
        } else if (meter_seconds(meter) > SHOWN_AFTER_S && output_has_progress()) {
            show_progress(meter, false);
        }
    }
    return NULL;
}

int meter_start(struct meter *meter, const char *name, const char *after_stop)
{
    sigset_t signals;

    progress_init(&meter->progress);
    meter->name = name;
    meter->after_stop = after_stop;
    meter->started = clock_seconds();
    atomic_init(&meter->ended, false);
    background_signals(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int r = -pthread_create(&meter->thread, NULL, watch, meter);
    return r < 0 ? log_errno(r, "%s", name) : 0;
}

void meter_stop(struct meter *meter)
{
    atomic_store(&meter->ended, true);
    pthread_kill(meter->thread, background_signal(SIGUSR1)); /* which wakes it */
    pthread_join(meter->thread, NULL);
    progress_clear(&meter->progress);
}
