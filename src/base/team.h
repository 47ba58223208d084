/* SPDX-License-Identifier: MIT */
/*
 * Several threads for one thing that takes a moment. To start a thread takes as long as some such
 * things, so those that helped stay for the next one a while.
 */
#pragma once

#include <stddef.h>

/*
 * Calls BODY in this thread, and in others that come in time, until all calls have returned: SIZE
 * at most, 16 at most. Each call is to take a part of what is to be done until nothing is left.
 */
void team_run(size_t size, void (*body)(void *context), void *context);
