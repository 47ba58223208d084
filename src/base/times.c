/* SPDX-License-Identifier: MIT */
#include "base/times.h"

enum { SECOND = 1000 * 1000 * 1000 };

/*
 * A mount by rclone cuts seconds towards 1970 and not towards the past, and takes a rest below zero
 * for one beyond the end of the second. So of a time before 1970 that has a fraction it shows one
 * second too many, with 999999999 ns. Such a time may be what it says, or any in the second before.
 */
static bool is_clipped(const struct timespec *time)
{
    return time->tv_sec <= 0 && time->tv_nsec == SECOND - 1;
}

static struct timespec second_before(const struct timespec *time)
{
    return (struct timespec){time->tv_sec - 1, 0};
}

uint64_t times_granularity(const struct timespec *time)
{
    static const long parts[] = {1000000, 1000, 100};

    if (is_clipped(time))
        return SECOND;
    if (time->tv_nsec == 0)
        return time->tv_sec % 2 == 0 ? (uint64_t)2 * SECOND : SECOND;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (time->tv_nsec % parts[i] == 0)
            return (uint64_t)parts[i];
    }
    return 1;
}

uint64_t times_granularity_in(const struct timespec *time, uint64_t unit)
{
    uint64_t granularity = times_granularity(time);

    return unit > 0 && unit < granularity && !is_clipped(time) ? unit : granularity;
}

struct timespec times_round_down(const struct timespec *time, uint64_t granularity)
{
    /* The nanoseconds of a time are never negative, also before 1970. */
    long part = granularity < SECOND ? (long)granularity : SECOND;
    struct timespec rounded = {time->tv_sec, time->tv_nsec - time->tv_nsec % part};

    if (granularity == (uint64_t)2 * SECOND)
        rounded.tv_sec -= time->tv_sec & 1;
    return rounded;
}

struct timespec times_of_ns(int64_t nanoseconds)
{
    int64_t rest = nanoseconds % SECOND;

    return (struct timespec){nanoseconds / SECOND - (rest < 0), rest < 0 ? rest + SECOND : rest};
}

bool times_agree(const struct timespec *a, const struct timespec *b)
{
    uint64_t ours = times_granularity(a), theirs = times_granularity(b);

    return times_agree_at(a, b, ours > theirs ? ours : theirs);
}

static bool same_at(const struct timespec *a, const struct timespec *b, uint64_t granularity)
{
    struct timespec left = times_round_down(a, granularity);
    struct timespec right = times_round_down(b, granularity);

    if (granularity >= SECOND)
        return (uint32_t)left.tv_sec == (uint32_t)right.tv_sec;
    return times_compare(&left, &right) == 0;
}

bool times_agree_at(const struct timespec *a, const struct timespec *b, uint64_t granularity)
{
    const struct timespec before_a = second_before(a), before_b = second_before(b);
    const uint64_t coarse = granularity < SECOND ? SECOND : granularity;

    return same_at(a, b, granularity) || (is_clipped(a) && same_at(&before_a, b, coarse)) ||
           (is_clipped(b) && same_at(a, &before_b, coarse)) ||
           (is_clipped(a) && is_clipped(b) && same_at(&before_a, &before_b, coarse));
}

bool times_exceed_sftp(const struct timespec *time)
{
    return time->tv_sec < 0 || time->tv_sec > UINT32_MAX;
}

int times_compare(const struct timespec *a, const struct timespec *b)
{
    if (a->tv_sec != b->tv_sec)
        return a->tv_sec < b->tv_sec ? -1 : 1;
    return (a->tv_nsec > b->tv_nsec) - (a->tv_nsec < b->tv_nsec);
}
