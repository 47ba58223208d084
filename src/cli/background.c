/* SPDX-License-Identifier: MIT */
#include "cli/background.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "cli/locked_folder.h"
#include "cli/options.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

enum {
    END_STEP_NS = 1000 * 1000,
    END_STEPS = 1000, /* the most that the user's process waits for the worker's end */
};

/* Writes the exit status to the user's process, which waits for that byte; -1: there is none. */
static int report = -1;

static enum background_kind kind;

/* The worker, in the user's process. */
static pid_t worker;

/* Signals that are passed on. All except the last stop a command. */
static const int passed[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};

/* A signal to stop has come; the number of the second one, which kills. */
static volatile sig_atomic_t stopping, killing;

int background_signal(int number)
{
    return SIGRTMIN + number;
}

static void fill(sigset_t *ret, int offset)
{
    sigemptyset(ret);
    for (size_t i = 0; i < COUNT_OF(passed); i++)
        sigaddset(ret, offset + passed[i]);
}

void background_signals(sigset_t *ret)
{
    fill(ret, background_signal(0));
}

/*
 * Reaps the worker and its descendants, since PID 1 may never do so. Waits only briefly: a hanging
 * thread delays the end of its process.
 */
static void wait_for_children(void)
{
    const struct timespec step = {.tv_nsec = END_STEP_NS};
    pid_t ended = 0;

    for (int i = 0; i < END_STEPS && ended >= 0; i += ended == 0) {
        ended = waitpid(-1, NULL, WNOHANG); /* below 0: none are left */
        if (ended == 0)
            nanosleep(&step, NULL);
    }
}

static void pass_on(int number)
{
    int error = errno;

    if (stopping && number != SIGUSR1) {
        killing = number;
        kill(worker, SIGKILL);
    } else {
        stopping |= number != SIGUSR1;
        kill(worker, kind == BACKGROUND_COMMAND ? background_signal(number) : number);
    }
    errno = error;
}

/* Waits for the worker's exit STATUS with the signals of BEFORE, which are blocked otherwise.
 * Returns false if the worker ends without it, or is killed. */
static bool wait_for_status(int reports, const sigset_t *before, unsigned char *status)
{
    static const struct timespec step = {.tv_nsec = END_STEP_NS};
    struct pollfd ready = {.fd = reports, .events = POLLIN};
    int steps = 0;

    while (steps < END_STEPS && ppoll(&ready, 1, killing ? &step : NULL, before) <= 0)
        steps += killing != 0;
    return steps < END_STEPS && TEMP_FAILURE_RETRY(read(reports, status, 1)) == 1;
}

/* Ends this process by signal NUMBER, even if that is handled and blocked. */
static void end_by(int number)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, number);
    signal(number, SIG_DFL);
    raise(number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* Does the rest of the user's process, with the signals of BEFORE. */
_Noreturn static void wait_and_exit(int reports, const sigset_t *before)
{
    unsigned char status;
    int how;

    if (wait_for_status(reports, before, &status)) {
        if (kind != BACKGROUND_DAEMON || status != EXIT_STATUS_OK)
            wait_for_children();
        _exit(status);
    }
    bool known = waitpid(worker, &how, killing ? WNOHANG : 0) == worker && WIFSIGNALED(how);
    /* From here on, the user's signals end this process. */
    for (size_t i = 0; i < COUNT_OF(passed); i++)
        signal(passed[i], passed[i] == SIGUSR1 ? SIG_IGN : SIG_DFL);
    sigprocmask(SIG_SETMASK, before, NULL);
    wait_for_children();
    locked_folders_sweep();
    /* The worker was ended by a signal, and so is this process. */
    if (killing || known) {
        int number = killing ? killing : WTERMSIG(how);
        end_by(number > SIGRTMIN ? number - SIGRTMIN : number);
    }
    log_error("the process that did the work ended early; run the command again");
    _exit(EXIT_STATUS_FAILED);
}

int background_enter(enum background_kind wanted)
{
    const struct sigaction action = {.sa_handler = pass_on};
    struct sigaction ignored;
    sigset_t all, before;
    pid_t user = getpid();
    int ends[2];

    kind = wanted;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return log_errno(-errno, "cannot start another process");
    /* The worker's orphans become children of this process. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    fill(&all, 0);
    sigprocmask(SIG_BLOCK, &all, &before);
    worker = fork();
    if (worker < 0) {
        int r = log_errno(-errno, "cannot start another process");
        close(ends[0]);
        close(ends[1]);
        return r;
    }
    close(ends[worker == 0 ? 0 : 1]);
    for (size_t i = 0; worker > 0 && i < COUNT_OF(passed); i++) {
        /* A signal that the user ignores, as by nohup(1), stays ignored. */
        if (sigaction(passed[i], NULL, &ignored) == 0 && ignored.sa_handler != SIG_IGN)
            sigaction(passed[i], &action, NULL);
    }
    if (worker > 0)
        wait_and_exit(ends[0], &before);
    report = ends[1];
    if (kind != BACKGROUND_COMMAND)
        sigprocmask(SIG_SETMASK, &before, NULL);
    if (kind != BACKGROUND_DAEMON)
        prctl(PR_SET_PDEATHSIG, kind == BACKGROUND_MOUNT ? SIGTERM : SIGKILL);
    return kind != BACKGROUND_DAEMON && getppid() != user ? -ESRCH : 0;
}

int background_leave_streams(void)
{
    cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (null < 0 || dup2(null, fd) < 0)
            return -errno;
    }
    return 0;
}

int background_end(int status)
{
    unsigned char byte = (unsigned char)status;

    if (report < 0)
        return status;
    background_leave_streams();
    /* If the user's process is gone, the status is not needed. */
    TEMP_FAILURE_RETRY(write(report, &byte, 1));
    close(steal_fd(&report));
    return status;
}

int background_leave_user(void)
{
    if (report < 0 || kind != BACKGROUND_DAEMON)
        return 0;
    if (chdir("/") < 0 || setsid() < 0)
        return log_errno(-errno, "cannot become a daemon");
    log_to_syslog();
    int r = background_leave_streams();
    return r < 0 ? log_errno(r, "cannot become a daemon") : background_end(EXIT_STATUS_OK);
}
