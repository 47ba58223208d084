/* SPDX-License-Identifier: MIT */
/*
 * Going on in the background. The process that the user started stays until it is known whether
 * that works, so that he gets the errors and the exit status. What comes after is another process
 * from the beginning: its threads live on.
 */
#pragma once

/* Returns in another process. Returns 0 or a negative errno, which has been logged. */
int background_enter(void);

/*
 * Leaves the user's terminal and lets his process exit with status 0. In a process that has not
 * entered the background: nothing. Returns 0 or a negative errno, which has been logged.
 */
int background_leave_user(void);

/* Lets the user's process, if it still waits, exit with STATUS. Returns STATUS. */
int background_end(int status);
