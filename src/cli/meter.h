/* SPDX-License-Identifier: MIT */
/*
 * A thread that looks at a run's progress and shows it after a second, and when SIGUSR1 asks for
 * it; and that has the run stop when the user wants that (SIGINT, SIGTERM, SIGHUP; once more ends
 * the process at once).
 */
#pragma once

#include "engine/progress.h"

#include <stdbool.h>

struct meter {
    struct progress progress;
    const char *name;       /* of the command */
    const char *after_stop; /* what another run does */
    pthread_t thread;
    atomic_bool ended;
    double started; /* seconds of the monotonic clock */
};

/* To be called before any other thread is started. Returns 0 or a negative errno. AFTER_STOP, told
 * when it is stopped: what another run does. */
int meter_start(struct meter *meter, const char *name, const char *after_stop);

void meter_stop(struct meter *meter);

/* Seconds since the start. */
double meter_seconds(const struct meter *meter);
