/* SPDX-License-Identifier: MIT */
#include "sync/child.h"

#include "base/array.h"
#include "base/clock.h"
#include "trust/leftover.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum {
    GRACE_S = 5,
    KILLED_S = 1, /* what does not end by SIGKILL in that time hangs in the kernel */
};

#define LOOK_EVERY_S 0.5
#define STEP_MAX_S   2.0  /* if nobody has looked for longer, this run itself was stopped */
#define IDLE_OUT     16   /* bytes a second: greetings */
#define IDLE_COMPUTE 0.01 /* of the time; an rclone that waits was seen to use 0.002 */
#define SHORT_S      1.0  /* work of so many more seconds, at these rates, is none yet */

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

void words_add_all(struct words *words, const char *const list[])
{
    for (; *list; list++)
        words_add(words, "%s", *list);
}

void child_end(const struct child *child)
{
    if (child->pid > 0)
        kill(child->pid, SIGTERM);
}

void child_kill(const struct child *child)
{
    if (child->pid > 0 && kill(-child->pid, SIGKILL) < 0)
        kill(child->pid, SIGKILL); /* it has no group yet */
}

void child_leave(struct child *child)
{
    if (child->pid > 0)
        waitpid(child->pid, NULL, child->handle >= 0 ? WNOHANG : 0);
    cleanup_close_fd(&child->handle);
    for (int i = 0; i < CHILD_STREAMS; i++)
        cleanup_close_fd(&child->streams[i].fd);
    *child = NO_CHILD;
}

/* Waits a second at most. */
static void kill_and_leave(struct child *child)
{
    child_kill(child);
    if (child->handle >= 0)
        poll(&(struct pollfd){.fd = child->handle, .events = POLLIN}, 1, KILLED_S * 1000);
    child_leave(child);
}

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
 * Adds the work of PID and of its descendants, but for ssh: it exchanges keep-alives with its host,
 * whether or not anything is transferred.
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

double child_idle(struct child *child, unsigned idle_in)
{
    const struct deeds *before = &child->deeds;
    double now = clock_seconds();
    struct deeds deeds;

    if (now < child->looked + LOOK_EVERY_S)
        return child->idle;
    if (!see(child, &deeds))
        return 0;
    child->idle += fmin(now - child->looked, STEP_MAX_S);
    child->looked = now;
    /* Either way: what ends takes its numbers along. */
    double seconds = child->idle + SHORT_S;
    if (fabs((double)(deeds.in - before->in)) > idle_in * seconds ||
        fabs((double)(deeds.out - before->out)) > IDLE_OUT * seconds ||
        fabs(deeds.computed - before->computed) > IDLE_COMPUTE * seconds) {
        child->idle = 0;
        child->deeds = deeds;
    }
    return child->idle;
}

/* After fork(2). posix_spawn(3) has no way to ask for the signal at the parent's end. */
_Noreturn static void become(char *words[], int input, int output, int errors, pid_t parent)
{
    sigset_t none;

    setsid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (int number = 1; number < _NSIG; number++)
        signal(number, SIG_DFL); /* refused of SIGKILL and the like */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (getppid() == parent && dup2(input, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 &&
        dup2(errors, STDERR_FILENO) >= 0 && setenv("LC_ALL", "C", 1) == 0 &&
        setenv("RCLONE_PARTIAL_SUFFIX", LEFTOVER_SUFFIX, 1) == 0)
        execvp(words[0], words);
    _exit(CHILD_NOT_FOUND);
}

/* Returns a descriptor from which TEXT is read, or nothing; or a negative errno. */
static int open_input(const char *text)
{
    cleanup_fd int fd =
        text ? memfd_create("input", MFD_CLOEXEC) : open("/dev/null", O_RDONLY | O_CLOEXEC);
    size_t length = text ? strlen(text) : 0;

    if (fd >= 0 && length > 0 && pwrite(fd, text, length, 0) != (ssize_t)length)
        return -EIO;
    return fd < 0 ? -errno : steal_fd(&fd);
}

int child_start(const struct words *words, struct child *ret)
{
    const struct names *names = &words->names;
    cleanup_free char **pointers = calloc(names->count + 1, sizeof *pointers);
    int ends[CHILD_STREAMS][2] = {{-1, -1}, {-1, -1}};
    pid_t parent = getpid();
    cleanup_fd int input = open_input(words->input);
    int r = words->failed || !pointers || names->count == 0 ? -ENOMEM : input < 0 ? input : 0;

    *ret = NO_CHILD;
    for (size_t i = 0; r == 0 && i < names->count; i++)
        pointers[i] = names->bytes + names->items[i].start;
    for (int i = 0; r == 0 && i < CHILD_STREAMS; i++) {
        if (pipe2(ends[i], O_CLOEXEC) < 0 || fcntl(ends[i][0], F_SETFL, O_NONBLOCK) < 0)
            r = -errno;
        ret->streams[i].fd = ends[i][0];
    }
    pid_t pid = r == 0 ? fork() : 0;
    if (r == 0 && pid == 0)
        become(pointers, input, ends[0][1], ends[1][1], parent);
    if (pid < 0)
        r = -errno;
    ret->pid = pid > 0 ? pid : 0;
    if (r == 0 && (ret->handle = pidfd_open(pid, 0)) < 0)
        r = -errno;
    for (int i = 0; i < CHILD_STREAMS; i++)
        cleanup_close_fd(&ends[i][1]);
    if (r < 0) {
        kill_and_leave(ret);
        return r;
    }
    ret->looked = clock_seconds();
    see(ret, &ret->deeds);
    return 0;
}

/* Returns true if there may be more by now. */
static bool take_bytes(struct child *child, int number, child_take *take, void *context)
{
    struct child_stream *stream = &child->streams[number];
    char bytes[16384] = "\n"; /* also the end is one of a line */
    ssize_t got = read(stream->fd, bytes, sizeof bytes);

    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return errno == EINTR;
    child->said += got > 0 ? (uint64_t)got : 0;
    for (ssize_t i = 0; i < got || i == 0; i++) {
        if (bytes[i] != '\n' && bytes[i] != '\r') {
            if (stream->length + 1 < sizeof stream->line)
                stream->line[stream->length++] = bytes[i];
            continue;
        }
        stream->line[stream->length] = '\0';
        if (stream->length > 0)
            take(context, number, stream->line);
        stream->length = 0;
    }
    if (got <= 0)
        close(steal_fd(&stream->fd));
    return got > 0;
}

void child_read(struct child *child, child_take *take, void *context)
{
    for (int i = 0; i < CHILD_STREAMS; i++) {
        while (child->streams[i].fd >= 0 && take_bytes(child, i, take, context)) {
        }
    }
}

bool child_has_ended(struct child *child, int *ret)
{
    siginfo_t info = {0};
    bool silent = true;

    if (child->pid <= 0)
        return false;
    /* The process is not reaped yet, so that no other group can get its number. */
    if (child->handle >= 0) {
        if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid)
            return false;
        close(steal_fd(&child->handle));
        child->ended = clock_seconds();
        kill(-child->pid, SIGTERM);
    }
    for (int i = 0; i < CHILD_STREAMS; i++)
        silent &= child->streams[i].fd < 0;
    double waited = clock_seconds() - child->ended;
    if (!silent && waited < GRACE_S)
        return false;
    child_kill(child);
    if (!silent && waited < GRACE_S + KILLED_S)
        return false;
    waitpid(child->pid, ret, 0);
    child->stuck = !silent && kill(-child->pid, 0) == 0;
    child->pid = 0;
    return true;
}

int child_ask(struct words *words, int seconds, child_take *take, void *context)
{
    double left, until = clock_seconds() + seconds;
    struct child child;
    int status = 0;

    int r = child_start(words, &child);
    names_clear(&words->names);
    if (r < 0)
        return r;
    while (r == 0 && !child_has_ended(&child, &status)) {
        struct pollfd fds[] = {{.fd = child.streams[0].fd, .events = POLLIN},
                               {.fd = child.streams[1].fd, .events = POLLIN},
                               {.fd = child.handle, .events = POLLIN}};
        if ((left = until - clock_seconds()) <= 0) {
            r = -ETIMEDOUT;
            child_end(&child);
            poll(&fds[2], 1, GRACE_S * 1000);
        } else {
            poll(fds, COUNT_OF(fds), (int)(fmin(left, LOOK_EVERY_S) * 1000) + 1);
            child_read(&child, take, context);
        }
    }
    kill_and_leave(&child);
    return r < 0 ? r : status;
}

static void keep_first(void *context, int stream, char *line)
{
    char **lines = context;

    if (!lines[stream])
        lines[stream] = strdup(line);
}

int child_run(struct words *words, int seconds, char *ret[CHILD_STREAMS])
{
    char *lines[CHILD_STREAMS] = {NULL};

    int r = child_ask(words, seconds, keep_first, lines);
    for (int i = 0; i < CHILD_STREAMS; i++) {
        if (ret)
            ret[i] = lines[i];
        else
            free(lines[i]);
    }
    return r;
}
