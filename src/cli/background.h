/* SPDX-License-Identifier: MIT */
/*
 * Work in another process than the one that the user started. His process stays, and ends with the
 * exit status that is reported to it. It waits for the other's end, and reaps it, for a second
 * at most: a thread that waits for a store that hangs holds up the end of its process. What
 * comes after the split is another process from the beginning: its threads live on.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>

/*
 * Returns 0 in another process, or a negative errno, which has been logged. A mount goes on in the
 * background once it is known that it works.
 *
 * For a command the user's process stays to its end, and the other ends with it. SIGINT, SIGTERM,
 * SIGHUP and SIGUSR1 are blocked in the other, to which they come as background_signal(), and only
 * so: from a terminal and from timeout(1) both get them. The second that means to stop ends the
 * user's process at once.
 */
int background_enter(bool is_command);

/* The real-time signal as which signal NUMBER is passed on, and all of these. */
int background_signal(int number);
void background_signals(sigset_t *ret);

/*
 * Leaves the user's terminal and lets his process exit with status 0. In a process that has not
 * entered the background: nothing. Returns 0 or a negative errno, which has been logged.
 */
int background_leave_user(void);

/* Lets go of the terminal, or of another reader: what hangs may keep this process alive. */
int background_leave_streams(void);

/* Lets the user's process, if it still waits, exit with STATUS. Returns STATUS. */
int background_end(int status);
