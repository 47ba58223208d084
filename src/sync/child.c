/* SPDX-License-Identifier: MIT */
#include "sync/child.h"

#include "base/clock.h"
#include "sync/leftovers.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum {
    GRACE_S = 5,
    KILLED_S = 1, /* what does not end by SIGKILL in that time hangs in the kernel */
};

void words_add(struct words *words, const char *format, ...)
{
    cleanup_free char *word = NULL;
    va_list arguments;

    va_start(arguments, format);
    int length = vasprintf(&word, format, arguments);
    va_end(arguments);
    if (length < 0 || names_add(&words->names, word) < 0)
        words->failed = true;
}

/* Pointers as execvp(3) wants them, into WORDS. */
static char **pointers_to(const struct names *words)
{
    char **pointers = calloc(words->count + 1, sizeof *pointers);

    for (size_t i = 0; pointers && i < words->count; i++)
        pointers[i] = words->bytes + words->items[i].start;
    return pointers;
}

static void reset_signals(void)
{
    sigset_t none;

    for (int number = 1; number < _NSIG; number++)
        signal(number, SIG_DFL); /* refused of SIGKILL and the like */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* After fork(2). posix_spawn(3) has no way to ask for the signal at the parent's end. */
_Noreturn static void become(char *words[], const int ends[CHILD_STREAMS], pid_t parent)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    setsid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    reset_signals();
    if (getppid() == parent && null >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
        dup2(ends[0], STDOUT_FILENO) >= 0 && dup2(ends[1], STDERR_FILENO) >= 0 &&
        setenv("LC_ALL", "C", 1) == 0 && setenv("RCLONE_PARTIAL_SUFFIX", LEFT_SUFFIX, 1) == 0)
        execvp(words[0], words);
    _exit(CHILD_NOT_FOUND);
}

static int start(char *words[], const int ends[CHILD_STREAMS], struct child *child)
{
    pid_t parent = getpid(), pid = fork();

    if (pid < 0)
        return -errno;
    if (pid == 0)
        become(words, ends, parent);
    child->pid = pid;
    child->handle = pidfd_open(pid, 0);
    return child->handle < 0 ? -errno : 0;
}

/* The reading ends go to the child's streams, the others are returned. */
static int open_streams(struct child *child, int ret_ends[CHILD_STREAMS])
{
    for (int i = 0; i < CHILD_STREAMS; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
            return -errno;
        child->streams[i].fd = ends[0];
        ret_ends[i] = ends[1];
        if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
            return -errno;
    }
    return 0;
}

int child_start(const struct words *words, struct child *ret)
{
    bool whole = !words->failed && words->names.count > 0;
    cleanup_free char **pointers = whole ? pointers_to(&words->names) : NULL;
    int ends[CHILD_STREAMS] = {-1, -1};

    *ret = NO_CHILD;
    int r = pointers ? open_streams(ret, ends) : -ENOMEM;
    if (r == 0)
        r = start(pointers, ends, ret);
    for (int i = 0; i < CHILD_STREAMS; i++) {
        if (ends[i] >= 0)
            close(ends[i]);
    }
    if (r < 0)
        child_clear(ret);
    return r;
}

static void take_bytes(struct child_stream *stream, const char *bytes, size_t size,
                       void (*take)(void *context, char *line), void *context)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != '\n' && bytes[i] != '\r') {
            if (stream->length + 1 < sizeof stream->line)
                stream->line[stream->length++] = bytes[i];
            continue;
        }
        stream->line[stream->length] = '\0';
        if (stream->length > 0)
            take(context, stream->line);
        stream->length = 0;
    }
}

void child_read(struct child *child, int number, void (*take)(void *context, char *line),
                void *context)
{
    struct child_stream *stream = &child->streams[number];
    char bytes[16384];

    while (stream->fd >= 0) {
        ssize_t got = read(stream->fd, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got > 0) {
            child->said += (uint64_t)got;
            take_bytes(stream, bytes, (size_t)got, take, context);
            continue;
        }
        take_bytes(stream, "\n", 1, take, context);
        close(stream->fd);
        stream->fd = -1;
    }
}

void child_signal(const struct child *child, int number)
{
    if (child->pid > 0 && kill(-child->pid, number) < 0)
        kill(child->pid, number); /* it has no group yet */
}

/* Its process is not taken away yet: it keeps the number of the group from being another's. */
static bool has_exited(struct child *child)
{
    siginfo_t info = {0};

    if (child->handle < 0)
        return child->pid > 0;
    if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid)
        return false;
    close(child->handle);
    child->handle = -1;
    child->ended = clock_seconds();
    child_signal(child, SIGTERM);
    return true;
}

bool child_has_ended(struct child *child, int *ret)
{
    bool silent = true;

    if (!has_exited(child))
        return false;
    for (int i = 0; i < CHILD_STREAMS; i++)
        silent &= child->streams[i].fd < 0;
    double waited = clock_seconds() - child->ended;
    if (!silent && waited < GRACE_S)
        return false;
    child_signal(child, SIGKILL);
    if (!silent && waited < GRACE_S + KILLED_S)
        return false;
    waitpid(child->pid, ret, 0);
    child->stuck = !silent && kill(-child->pid, 0) == 0;
    child->pid = 0;
    return true;
}

void child_leave(struct child *child)
{
    if (child->pid > 0)
        waitpid(child->pid, NULL, child->handle >= 0 ? WNOHANG : 0);
    if (child->handle >= 0)
        close(child->handle);
    for (int i = 0; i < CHILD_STREAMS; i++) {
        if (child->streams[i].fd >= 0)
            close(child->streams[i].fd);
    }
    *child = NO_CHILD;
}

void child_clear(struct child *child)
{
    if (child->pid > 0)
        child_signal(child, SIGKILL);
    if (child->handle >= 0)
        poll(&(struct pollfd){.fd = child->handle, .events = POLLIN}, 1, KILLED_S * 1000);
    child_leave(child);
}
