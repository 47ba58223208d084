/* SPDX-License-Identifier: MIT */
/*
 * Work in a process other than the one that the user started. The user's process stays, and ends
 * with the exit status reported to it. It waits at most a second for the worker's end, which a
 * thread waiting for a hanging store delays.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>

/* What the worker does. */
enum background_kind {
    /* It ends with the user's process; SIGINT, SIGTERM, SIGHUP and SIGUSR1 reach it only as
     * background_signal(). */
    BACKGROUND_COMMAND,
    BACKGROUND_MOUNT,  /* it ends with the user's process, and gets signals unchanged */
    BACKGROUND_DAEMON, /* it outlives the user's process once it works */
};

/*
 * Returns 0 in the worker, or a negative errno, which has been logged. The second signal to stop
 * ends both at once. If a signal ends the worker, the user's process removes its locked folders.
 */
int background_enter(enum background_kind kind);

/* Returns the real-time signal that passes signal NUMBER on; or the set of all of them. */
int background_signal(int number);
void background_signals(sigset_t *ret);

/*
 * Detaches a daemon from the terminal, and lets the user's process exit with status 0. Returns 0 or
 * a negative errno, which has been logged.
 */
int background_leave_user(void);

/* Closes the terminal or pipe: a hanging thread may keep this process alive. */
int background_leave_streams(void);

/* Lets the user's process, if it still waits, exit with STATUS. Returns STATUS. */
int background_end(int status);
