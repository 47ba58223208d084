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

/* What is in the file NAME of the directory PLACE of /proc, or its beginning. */
static bool read_text(int place, const char *name, char *text, size_t size)
{
    cleanup_fd int fd = openat(place, name, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);

    if (got >= 0)
        text[got] = '\0';
    return got >= 0;
}

/* ssh and the host that it has reached greet each other, whatever becomes of what they carry. */
static bool is_ssh(int process)
{
    char name[32];

    return read_text(process, "comm", name, sizeof name) && strcmp(name, "ssh\n") == 0;
}

static bool add_moved(int process, struct deeds *deeds)
{
    char text[512];
    int64_t in, out;

    if (!read_text(process, "io", text, sizeof text) ||
        sscanf(text, "rchar: %" SCNd64 " wchar: %" SCNd64, &in, &out) != 2)
        return false;
    deeds->in += in;
    deeds->out += out;
    return true;
}

static bool add_computed(pid_t pid, struct deeds *deeds)
{
    clockid_t clock;
    struct timespec time;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) < 0)
        return false;
    deeds->computed += (double)time.tv_sec + (double)time.tv_nsec / 1e9;
    return true;
}

static bool add_all(pid_t pid, struct deeds *deeds);

/* Those that one thread has started. */
static void add_children(int threads, const char *thread, struct deeds *deeds)
{
    char path[sizeof "/children" + NAME_MAX], text[4096];
    const char *at = text;
    int pid, length;

    snprintf(path, sizeof path, "%s/children", thread);
    if (!read_text(threads, path, text, sizeof text))
        return;
    for (; sscanf(at, "%d%n", &pid, &length) == 1; at += length)
        add_all(pid, deeds);
}

/* Of PID and all below it. */
static bool add_all(pid_t pid, struct deeds *deeds)
{
    char path[sizeof "/proc//task" + 3 * sizeof pid];

    snprintf(path, sizeof path, "/proc/%d", pid);
    cleanup_fd int process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (process < 0 || is_ssh(process) || !add_moved(process, deeds) || !add_computed(pid, deeds))
        return false;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    cleanup_dir DIR *threads = opendir(path);
    for (const struct dirent *each; threads && (each = readdir(threads));)
        add_children(dirfd(threads), each->d_name, deeds);
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

/* Either way: what ends takes its numbers along. */
static bool is_work(const struct deeds *before, const struct deeds *now, unsigned idle_in,
                    double seconds)
{
    return fabs((double)(now->in - before->in)) > idle_in * seconds ||
           fabs((double)(now->out - before->out)) > IDLE_OUT * seconds ||
           fabs(now->computed - before->computed) > IDLE_COMPUTE * seconds;
}

double pulse_idle(const struct child *child, unsigned idle_in, struct pulse *pulse)
{
    double now = clock_seconds();
    struct deeds deeds;

    if (now < pulse->looked + LOOK_EVERY_S)
        return pulse->idle;
    if (!see(child, &deeds))
        return 0;
    pulse->idle += fmin(now - pulse->looked, STEP_MAX_S);
    pulse->looked = now;
    if (is_work(&pulse->deeds, &deeds, idle_in, pulse->idle + SHORT_S)) {
        pulse->idle = 0;
        pulse->deeds = deeds;
    }
    return pulse->idle;
}
