/* SPDX-License-Identifier: MIT */
#pragma once

#include <time.h>

/* Seconds of the monotonic clock, for how long something takes. */
static inline double clock_seconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}
