/* SPDX-License-Identifier: MIT */
#include "sync/pulse.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define LOOK_EVERY_S 0.5
#define STEP_MAX_S   2.0  /* where nobody has looked for longer, this run was stopped itself */
#define IDLE_OUT     16   /* bytes a second: greetings */
#define IDLE_COMPUTE 0.01 /* of the time; an rclone that waits was seen to use 0.002 */
#define SHORT_S      1.0  /* what is done in so much more time is nothing yet */

/* Reads the file NAME of the directory PLACE of /proc, or its beginning. */
static bool read_text(int place, const char *name, char *text, size_t size)
{
    cleanup_fd int fd = openat(place, name, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);

    if (got >= 0)
        text[got] = '\0';
    return got >= 0;
}

/*
 * Adds what PID has done, and all below it. Not ssh: it and the host that it has reached greet each
 * other, whatever becomes of what they carry.
 */
static bool add_all(pid_t pid, struct deeds *deeds)
{
    char path[sizeof "/proc//task" + 3 * sizeof pid], text[4096];
    int64_t in, out;
    clockid_t clock;
    struct timespec time;

    snprintf(path, sizeof path, "/proc/%d", pid);
    cleanup_fd int process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (process < 0 || !read_text(process, "comm", text, sizeof text) || strcmp(text, "ssh\n") == 0)
        return false;
    if (!read_text(process, "io", text, sizeof text) ||
        sscanf(text, "rchar: %" SCNd64 " wchar: %" SCNd64, &in, &out) != 2 ||
        clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) < 0)
        return false;
    deeds->in += in;
    deeds->out += out;
    deeds->computed += (double)time.tv_sec + (double)time.tv_nsec / 1e9;

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    cleanup_dir DIR *threads = opendir(path);
    for (const struct dirent *each; threads && (each = readdir(threads));) {
        char name[sizeof "/children" + NAME_MAX];
        int child, length;
        snprintf(name, sizeof name, "%s/children", each->d_name);
        if (!read_text(dirfd(threads), name, text, sizeof text))
            continue;
        for (const char *at = text; sscanf(at, "%d%n", &child, &length) == 1; at += length)
            add_all(child, deeds);
    }
    return true;
}

/* What it has told us is not work. */
static bool see(const struct child *child, struct deeds *ret)
{
    *ret = (struct deeds){.out = -(int64_t)child->said};
    return add_all(child->pid, ret);
}

void pulse_begin(const struct child *child, struct pulse *ret)
{
    *ret = (struct pulse){.looked = clock_seconds()};
    see(child, &ret->deeds);
}

double pulse_idle(const struct child *child, unsigned idle_in, struct pulse *pulse)
{
    const struct deeds *before = &pulse->deeds;
    double now = clock_seconds();
    struct deeds deeds;

    if (now < pulse->looked + LOOK_EVERY_S)
        return pulse->idle;
    if (!see(child, &deeds))
        return 0;
    pulse->idle += fmin(now - pulse->looked, STEP_MAX_S);
    pulse->looked = now;
    /* Either way: what ends takes its numbers along. */
    double seconds = pulse->idle + SHORT_S;
    if (fabs((double)(deeds.in - before->in)) > idle_in * seconds ||
        fabs((double)(deeds.out - before->out)) > IDLE_OUT * seconds ||
        fabs(deeds.computed - before->computed) > IDLE_COMPUTE * seconds) {
        pulse->idle = 0;
        pulse->deeds = deeds;
    }
    return pulse->idle;
}
