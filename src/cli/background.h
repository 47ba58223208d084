/* SPDX-License-Identifier: MIT */
/*
 * Work in another process than the one that the user started. His process stays, and ends with the
 * exit status that is reported to it. It waits a second at most for the other's end: a thread that
 * waits for a store that hangs holds that up.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>

/*
 * Returns 0 in another process, or a negative errno, which has been logged. A mount goes on in the
 * background once it works. Of a command the user's process stays to its end, and the other ends
 * with it; SIGINT, SIGTERM, SIGHUP and SIGUSR1 come to the other as background_signal() alone. The
 * second that means to stop ends the user's process at once.
 */
int background_enter(bool is_command);

/* The real-time signal as which signal NUMBER is passed on, and all of these. */
int background_signal(int number);
void background_signals(sigset_t *ret);

/*
 * Leaves the user's terminal and lets his process, if there is one, exit with status 0. Returns 0
 * or a negative errno, which has been logged.
 */
int background_leave_user(void);

/* Lets go of the terminal, or of another reader: what hangs may keep this process alive. */
int background_leave_streams(void);

/* Lets the user's process, if it still waits, exit with STATUS. Returns STATUS. */
int background_end(int status);
