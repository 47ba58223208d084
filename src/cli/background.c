/* SPDX-License-Identifier: MIT */
#include "cli/background.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "cli/exit_status.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    END_STEP_NS = 1000 * 1000,
    END_STEPS = 1000, /* that the user's process waits for the other's end, at most */
};

/* To the user's process, which waits for a byte, its exit status; -1 where there is none. */
static int report = -1;

/* The process that works, as the user's knows it. */
static pid_t worker;

/* Signals that stop a command: the first of them; the second one ends the user's process. */
static const int stops[] = {SIGINT, SIGTERM, SIGHUP};
static volatile sig_atomic_t stopping;

int background_signal(int number)
{
    return SIGRTMIN + number;
}

void background_signals(sigset_t *ret)
{
    sigemptyset(ret);
    for (size_t i = 0; i < COUNT_OF(stops); i++)
        sigaddset(ret, background_signal(stops[i]));
    sigaddset(ret, background_signal(SIGUSR1));
}

/*
 * Reaps the process that works, and all that it leaves: PID 1 may never do so. Waits for them, but
 * not for long: a thread that hangs holds up the end of its process.
 */
static void wait_for_children(void)
{
    const struct timespec step = {.tv_nsec = END_STEP_NS};
    pid_t ended = 0;

    for (int i = 0; i < END_STEPS && ended >= 0; i += ended == 0) {
        ended = waitpid(-1, NULL, WNOHANG); /* below 0: there are none any more */
        if (ended == 0)
            nanosleep(&step, NULL);
    }
}

static void pass_on(int number)
{
    int error = errno;

    kill(worker, background_signal(number));
    errno = error;
}

static void pass_on_stop(int number)
{
    if (stopping) {
        kill(worker, SIGKILL);
        wait_for_children();
        signal(number, SIG_DFL);
        raise(number); /* it comes when this function has returned */
    }
    stopping = 1;
    pass_on(number);
}

/* A signal that the user has ignored, as nohup(1) does, stays so. */
static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, before;

    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

static void pass_on_signals(void)
{
    for (size_t i = 0; i < COUNT_OF(stops); i++)
        handle(stops[i], pass_on_stop);
    handle(SIGUSR1, pass_on);
}

static void passed_signals(sigset_t *ret)
{
    sigemptyset(ret);
    for (size_t i = 0; i < COUNT_OF(stops); i++)
        sigaddset(ret, stops[i]);
    sigaddset(ret, SIGUSR1);
}

/* The other process has ended without a word: by a signal, and so does this one. */
_Noreturn static void end_as_worker(void)
{
    int status;

    bool known = waitpid(worker, &status, 0) == worker;
    wait_for_children();
    if (known && WIFSIGNALED(status)) {
        int number = WTERMSIG(status);
        if (number > SIGRTMIN) /* as passed on, before anything waited for it */
            number -= SIGRTMIN;
        signal(number, SIG_DFL);
        raise(number);
    }
    log_error("ended before the work was done");
    _exit(EXIT_STATUS_FAILED);
}

/* All that the user's process still does. If the other one STAYS, success does not mean its end. */
_Noreturn static void wait_and_exit(int reports, bool stays)
{
    unsigned char status;
    ssize_t got;

    do
        got = read(reports, &status, 1);
    while (got < 0 && errno == EINTR);
    if (got != 1)
        end_as_worker();
    if (!stays || status != EXIT_STATUS_OK)
        wait_for_children();
    _exit(status);
}

/* A command's process ends with its work, and gets the user's signals until then. */
static int split(bool is_command)
{
    sigset_t passed, before;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return log_errno(-errno, "cannot start another process");
    if (is_command) /* what the other leaves becomes a child of this one */
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    passed_signals(&passed);
    sigprocmask(SIG_BLOCK, &passed, &before);
    worker = fork();
    if (worker < 0) {
        int r = log_errno(-errno, "cannot start another process");
        close(ends[0]);
        close(ends[1]);
        return r;
    }
    close(ends[worker == 0 ? 0 : 1]);
    if (worker > 0 && is_command)
        pass_on_signals();
    if (worker > 0 || !is_command)
        sigprocmask(SIG_SETMASK, &before, NULL);
    if (worker > 0)
        wait_and_exit(ends[0], !is_command);
    report = ends[1];
    return 0;
}

int background_enter(void)
{
    return split(false);
}

int background_work(void)
{
    pid_t user = getpid();
    int r = split(true);

    if (r == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return r == 0 && getppid() != user ? -ESRCH : r;
}

int background_leave_streams(void)
{
    cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        return -errno;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (dup2(null, fd) < 0)
            return -errno;
    }
    return 0;
}

static void report_status(int status)
{
    unsigned char byte = (unsigned char)status;

    /* Where the user's process is gone, nobody needs to know. */
    while (write(report, &byte, 1) < 0 && errno == EINTR) {
    }
    close(report);
    report = -1;
}

int background_end(int status)
{
    if (report >= 0) {
        background_leave_streams();
        report_status(status);
    }
    return status;
}

int background_leave_user(void)
{
    if (report < 0)
        return 0;
    if (chdir("/") < 0 || setsid() < 0)
        return log_errno(-errno, "cannot become a daemon");
    log_to_syslog();
    int r = background_leave_streams();
    if (r < 0)
        return log_errno(r, "cannot become a daemon");
    report_status(EXIT_STATUS_OK);
    return 0;
}
