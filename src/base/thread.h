/* SPDX-License-Identifier: MIT */
#pragma once

/* Starts a thread that no one joins. Returns 0 or a negative errno. */
int thread_start(void *(*body)(void *), void *argument);

/* The processors that this process may run on. */
unsigned thread_processors(void);
