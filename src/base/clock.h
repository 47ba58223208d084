/* SPDX-License-Identifier: MIT */
/* Monotonic time in microseconds, for measuring durations. */
#pragma once

#include <stdint.h>
#include <time.h>

#define CLOCK_SECOND UINT64_C(1000000)

static inline uint64_t clock_read(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * CLOCK_SECOND + (uint64_t)time.tv_nsec / 1000;
}

static inline uint64_t clock_now(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

/* What this thread has taken of the processors: no longer on a machine that others load. */
static inline uint64_t clock_of_thread(void)
{
    return clock_read(CLOCK_THREAD_CPUTIME_ID);
}

/* As clock_now, in seconds. */
static inline double clock_seconds(void)
{
    return (double)clock_now() / (double)CLOCK_SECOND;
}

/* TIME as waiting functions take it. */
static inline struct timespec clock_timespec(uint64_t time)
{
    return (struct timespec){.tv_sec = (time_t)(time / CLOCK_SECOND),
                             .tv_nsec = (long)(time % CLOCK_SECOND) * 1000};
}
