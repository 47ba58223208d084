/* SPDX-License-Identifier: MIT */
/*
 * Work in another process than the one that the user started. His process stays, and ends with the
 * exit status that is reported to it. It waits a second at most for the other's end: a thread that
 * waits for a store that hangs holds that up.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>

/* What the other process is. */
enum background_kind {
    /* It ends with the user's, and SIGINT, SIGTERM, SIGHUP and SIGUSR1 come to it as
     * background_signal() alone. */
    BACKGROUND_COMMAND,
    BACKGROUND_MOUNT,  /* it ends with the user's, and takes signals as they are */
    BACKGROUND_DAEMON, /* it goes on behind the user's once it works */
};

/*
 * Returns 0 in another process, or a negative errno, which has been logged. The second signal that
 * means to stop ends both at once. What the other process leaves in locked folders where it ends by
 * a signal, the user's removes.
 */
int background_enter(enum background_kind kind);

/* The real-time signal as which signal NUMBER is passed on, and all of these. */
int background_signal(int number);
void background_signals(sigset_t *ret);

/*
 * A daemon leaves the user's terminal and lets his process exit with status 0. Returns 0 or a
 * negative errno, which has been logged.
 */
int background_leave_user(void);

/* Lets go of the terminal, or of another reader: what hangs may keep this process alive. */
int background_leave_streams(void);

/* Lets the user's process, if it still waits, exit with STATUS. Returns STATUS. */
int background_end(int status);
