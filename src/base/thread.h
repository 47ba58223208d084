/* SPDX-License-Identifier: MIT */
#pragma once

/* Starts a thread that takes no signals sent to the process, and that nobody joins. Returns 0 or a
 * negative errno. */
int thread_start(void *(*body)(void *), void *argument);

/* How many processors there are for this one: 1 or more. */
unsigned thread_processors(void);
