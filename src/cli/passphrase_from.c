/* SPDX-License-Identifier: MIT */
#include "cli/passphrase_from.h"

#include "base/log.h"
#include "cli/background.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>

enum { ROOM = PASSPHRASE_SIZE_MAX + 2 }; /* a newline, and a byte too many */

/* Removes the final newline, and refuses what is no passphrase. */
static int finish(const char *what, struct passphrase *passphrase)
{
    if (passphrase->size > 0 && passphrase->bytes[passphrase->size - 1] == '\n')
        passphrase->size--;
    if (passphrase->size == 0)
        return log_as(-EINVAL, "%s: the passphrase is empty", what);
    if (passphrase->size > PASSPHRASE_SIZE_MAX)
        return log_as(-EINVAL, "%s: a passphrase has at most %d bytes", what, PASSPHRASE_SIZE_MAX);
    return 0;
}

int passphrase_from_file(const char *path, struct passphrase *ret)
{
    cleanup_passphrase struct passphrase passphrase = {.bytes = seal_alloc(ROOM)};
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = 1;

    if (fd < 0)
        return log_errno(-errno, "%s", path);
    if (!passphrase.bytes)
        return log_errno(-ENOMEM, "%s", path);
    while (got > 0 && passphrase.size < ROOM) {
        got = TEMP_FAILURE_RETRY(
            read(fd, passphrase.bytes + passphrase.size, ROOM - passphrase.size));
        if (got < 0)
            return log_errno(-errno, "%s", path);
        passphrase.size += (size_t)got;
    }
    int r = finish(path, &passphrase);
    if (r == 0) {
        *ret = passphrase;
        passphrase = (struct passphrase){NULL, 0};
    }
    return r;
}

/* Waits for a line, or for a signal of the user's. */
static int read_line(int terminal, int signals, struct passphrase *passphrase)
{
    struct pollfd fds[] = {{.fd = terminal, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

    while (passphrase->size == 0 || passphrase->bytes[passphrase->size - 1] != '\n') {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return -errno;
        if (fds[1].revents)
            return -ECANCELED;
        if (!fds[0].revents)
            continue;
        const ssize_t got = TEMP_FAILURE_RETRY(
            read(terminal, passphrase->bytes + passphrase->size, ROOM - passphrase->size));
        if (got < 0)
            return -errno;
        passphrase->size += (size_t)got;
        if (got == 0 || passphrase->size == ROOM)
            return 0;
    }
    return 0;
}

/* Asks without echo. The process cannot be suspended meanwhile, since the terminal would stay
 * without echo. */
static int ask(int terminal, int signals, const char *prompt, struct passphrase *passphrase)
{
    struct termios before, silent;

    passphrase->size = 0;
    if (tcgetattr(terminal, &before) < 0)
        return -errno;
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
    silent.c_lflag |= ICANON | ECHONL;
    silent.c_cc[VSUSP] = _POSIX_VDISABLE;
    if (tcsetattr(terminal, TCSAFLUSH, &silent) < 0)
        return -errno;
    int r = write(terminal, prompt, strlen(prompt)) < 0 ? -errno
                                                        : read_line(terminal, signals, passphrase);
    if (r < 0 && write(terminal, "\n", 1) < 0)
        r = -errno;
    tcsetattr(terminal, TCSAFLUSH, &before);
    return r;
}

/* Opens the descriptors that asking needs. */
static int open_terminal(int *ret_terminal, int *ret_signals, sigset_t *ret_before)
{
    sigset_t passed;

    sigprocmask(SIG_BLOCK, NULL, ret_before);

    *ret_terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*ret_terminal < 0)
        return log_as(-ENOKEY, "a passphrase is needed, and there is no terminal to ask for it: "
                               "give --passphrase-file FILE");
    background_signals(&passed);
    sigprocmask(SIG_BLOCK, &passed, NULL);
    *ret_signals = signalfd(-1, &passed, SFD_CLOEXEC | SFD_NONBLOCK);
    return *ret_signals < 0 ? log_errno(-errno, "the user's signals") : 0;
}

/* Asks on the open terminal, TWICE if wanted. */
static int ask_all(const char *prompt, bool twice, int terminal, int signals,
                   struct passphrase *first)
{
    cleanup_passphrase struct passphrase second = {.bytes = seal_alloc(ROOM)};

    if (!second.bytes)
        return log_errno(-ENOMEM, "the passphrase");
    for (int i = 0; i < (twice ? 2 : 1); i++) {
        struct passphrase *each = i == 0 ? first : &second;
        int r = ask(terminal, signals, i == 0 ? prompt : "Once more: ", each);
        if (r < 0)
            return r == -ECANCELED ? log_as(r, "stopped") : log_errno(r, "the terminal");
        r = finish("the terminal", each);
        if (r < 0)
            return r;
    }
    if (twice &&
        (first->size != second.size || !seal_equal(first->bytes, second.bytes, first->size)))
        return log_as(-EINVAL, "the two are not the same: nothing is changed");
    return 0;
}

int passphrase_from_terminal(const char *prompt, bool twice, struct passphrase *ret)
{
    cleanup_passphrase struct passphrase first = {.bytes = seal_alloc(ROOM)};
    cleanup_fd int terminal = -1, signals = -1;
    sigset_t before;

    if (!first.bytes)
        return log_errno(-ENOMEM, "the passphrase");
    int r = open_terminal(&terminal, &signals, &before);
    if (r == 0)
        r = ask_all(prompt, twice, terminal, signals, &first);
    if (r !=
        -ECANCELED) /* else the signal, which is pending still, would end this without a word */
        sigprocmask(SIG_SETMASK, &before, NULL);
    if (r == 0) {
        *ret = first;
        first = (struct passphrase){NULL, 0};
    }
    return r;
}
