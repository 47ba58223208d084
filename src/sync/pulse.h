/* SPDX-License-Identifier: MIT */
/*
 * Whether a program gets on with its work, by what the kernel counts of it and of those that it has
 * started: the bytes that were read and written, wherever, and the time that was computed.
 *
 * Programs do not always notice by themselves that nobody answers any more. rclone tries again for
 * each file. rsync tells the other end from time to time that it is still there, and takes it for a
 * sign of life that the kernel took that.
 */
#pragma once

#include "sync/child.h"

struct pulse {
    double looked; /* when: seconds of clock_seconds() */
    double idle;   /* seconds in which nothing worth the name was done */
    struct deeds {
        int64_t in, out; /* bytes */
        double computed; /* seconds */
    } deeds;             /* until the idle time began */
};

/* Of CHILD, which has just begun. */
void pulse_begin(const struct child *child, struct pulse *ret);

/*
 * For how many seconds CHILD has done nothing but wait; to be called every now and then. IDLE_IN
 * bytes a second are read by a program that waits. 0 where the kernel does not say.
 */
double pulse_idle(const struct child *child, unsigned idle_in, struct pulse *pulse);
