/* SPDX-License-Identifier: MIT */
#include "cli/background.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/exit_status.h"

#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

/* To the user's process, which waits for a byte, its exit status; -1 where there is none. */
static int report = -1;

/* What is left of the user's process. Does not wait for the other's end: it may be held up. */
_Noreturn static void wait_and_exit(int reports)
{
    unsigned char status;
    ssize_t got;

    do
        got = read(reports, &status, 1);
    while (got < 0 && errno == EINTR);
    if (got != 1) {
        log_error("ended before it was mounted");
        status = EXIT_STATUS_FAILED;
    }
    _exit(status);
}

int background_enter(void)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return log_errno(-errno, "cannot go to the background");
    pid_t child = fork();
    if (child < 0) {
        int r = log_errno(-errno, "cannot go to the background");
        close(ends[0]);
        close(ends[1]);
        return r;
    }
    close(ends[child == 0 ? 0 : 1]);
    if (child > 0)
        wait_and_exit(ends[0]);
    report = ends[1];
    return 0;
}

/* Lets go of the terminal, or of another reader: threads that hang may keep this process alive. */
static int leave_standard_streams(void)
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
        leave_standard_streams();
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
    int r = leave_standard_streams();
    if (r < 0)
        return log_errno(r, "cannot become a daemon");
    report_status(EXIT_STATUS_OK);
    return 0;
}
