/* SPDX-License-Identifier: MIT */
#include "cli/background.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "cli/options.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

enum {
    END_STEP_NS = 1000 * 1000,
    END_STEPS = 1000, /* that the user's process waits for the other's end, at most */
};

/* To the user's process, which waits for a byte, its exit status; -1 where there is none. */
static int report = -1;

/* The process that works, as the user's knows it. */
static pid_t worker;

/* Signals that are passed on. All but the last stop a command: the first of them; the second one
 * ends the user's process. */
static const int passed[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
static volatile sig_atomic_t stopping;

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

    if (stopping && number != SIGUSR1) {
        kill(worker, SIGKILL);
        wait_for_children();
        signal(number, SIG_DFL);
        raise(number); /* it comes when this function has returned */
    }
    stopping |= number != SIGUSR1;
    kill(worker, background_signal(number));
    errno = error;
}

/* All that the user's process still does. If the other one STAYS, success does not mean its end. */
_Noreturn static void wait_and_exit(int reports, bool stays)
{
    unsigned char status;
    int how;

    if (TEMP_FAILURE_RETRY(read(reports, &status, 1)) == 1) {
        if (!stays || status != EXIT_STATUS_OK)
            wait_for_children();
        _exit(status);
    }
    /* The other process has ended without a word: by a signal, and so does this one. */
    bool known = waitpid(worker, &how, 0) == worker;
    wait_for_children();
    if (known && WIFSIGNALED(how)) {
        int number = WTERMSIG(how);
        if (number > SIGRTMIN) /* as passed on, before anything waited for it */
            number -= SIGRTMIN;
        signal(number, SIG_DFL);
        raise(number);
    }
    log_error("the process that did the work ended early; run the command again");
    _exit(EXIT_STATUS_FAILED);
}

int background_enter(bool is_command)
{
    const struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    struct sigaction ignored;
    sigset_t all, before;
    pid_t user = getpid();
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return log_errno(-errno, "cannot start another process");
    if (is_command) /* what the other leaves becomes a child of this one */
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
    for (size_t i = 0; worker > 0 && is_command && i < COUNT_OF(passed); i++) {
        /* What the user has ignored, as by nohup(1), stays so. */
        if (sigaction(passed[i], NULL, &ignored) == 0 && ignored.sa_handler != SIG_IGN)
            sigaction(passed[i], &action, NULL);
    }
    if (worker > 0 || !is_command)
        sigprocmask(SIG_SETMASK, &before, NULL);
    if (worker > 0)
        wait_and_exit(ends[0], !is_command);
    report = ends[1];
    if (is_command)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return is_command && getppid() != user ? -ESRCH : 0;
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
    /* Where the user's process is gone, nobody needs to know. */
    TEMP_FAILURE_RETRY(write(report, &byte, 1));
    close(steal_fd(&report));
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
    return r < 0 ? log_errno(r, "cannot become a daemon") : background_end(EXIT_STATUS_OK);
}
