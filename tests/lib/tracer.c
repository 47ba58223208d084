/* SPDX-License-Identifier: MIT */
/*
 * Runs a command under ptrace(2) and interferes with one of the system calls of the process that it
 * works in, which it starts, in any thread:
 *
 *     tracer LOG log COMMAND...             writes a line for each call to the file LOG
 *     tracer LOG signal S NR N COMMAND...   sends signal S before the Nth call of number NR is
 * done: SIGKILL to the caller, others to COMMAND tracer LOG error E NR N COMMAND...    this call
 * fails with errno E and does nothing tracer LOG part 0 NR N COMMAND...     each call of number NR
 * from the Nth on transfers less tracer LOG void 0 NR N COMMAND...     the Nth call transfers
 * nothing, and says it was all
 *
 * LOG is empty at the end where the call did not come. Returns the command's exit status, or 128
 * and the signal that ended it; 125 where tracing fails.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAILED = 125, THREADS = 1024 };

struct thread {
    pid_t id;
    bool inside; /* of a call that is to fail, or that is logged */
    uint64_t number, arguments[6];
    char paths[3][256];
};

static struct thread threads[THREADS];
static FILE *log_file;
static pid_t process;
static char mode;
static long value;
static uint64_t wanted;
static unsigned long when, seen;
static bool done;

static void fail(const char *what)
{
    perror(what);
    if (process > 0)
        kill(process, SIGKILL);
    exit(FAILED);
}

static struct thread *thread_of(pid_t id)
{
    for (size_t i = 0; i < THREADS; i++) {
        if (threads[i].id == id || threads[i].id == 0) {
            threads[i].id = id;
            return &threads[i];
        }
    }
    errno = EAGAIN;
    fail("threads");
    return NULL;
}

/* A string of the command's, as far as it is one. */
static void read_string(pid_t id, uint64_t address, char ret[256])
{
    struct iovec here = {ret, 255}, there = {(void *)address, 255};
    uint64_t rest = 4096 - address % 4096;

    ssize_t n = process_vm_readv(id, &here, 1, &there, 1, 0);
    if (n < 0 && rest < 255) { /* the next page is not there */
        there.iov_len = rest;
        n = process_vm_readv(id, &here, 1, &there, 1, 0);
    }
    ret[n < 0 ? 0 : n] = '\0';
    for (char *at = ret; *at; at++) {
        if ((unsigned char)*at <= ' ' || (unsigned char)*at > '~')
            *at = '?';
    }
}

static void set_registers(pid_t id, struct user_regs_struct *registers)
{
    if (ptrace(PTRACE_SETREGS, id, NULL, registers) < 0)
        fail("PTRACE_SETREGS");
}

static struct user_regs_struct registers_of(pid_t id)
{
    struct user_regs_struct registers;

    if (ptrace(PTRACE_GETREGS, id, NULL, &registers) < 0)
        fail("PTRACE_GETREGS");
    return registers;
}

/* Returns whether the result of the call is to be seen as well. */
static bool interfere(pid_t id)
{
    struct user_regs_struct registers = registers_of(id);

    if (mode == 'p' && registers.rdx < 2)
        return false;
    fprintf(log_file, "done\n");
    done = mode != 'p';
    switch (mode) {
    case 's':
        kill(value == SIGKILL ? id : process, (int)value);
        return false;
    case 'p':
        registers.rdx = registers.rdx / 3 + 1;
        break;
    case 'v':
        value = -(long)registers.rdx;
        registers.orig_rax = (unsigned long long)-1;
        break;
    default:
        registers.orig_rax = (unsigned long long)-1;
    }
    set_registers(id, &registers);
    return done;
}

static void enter(struct thread *thread, const struct __ptrace_syscall_info *info)
{
    bool at = info->entry.nr == wanted;

    if (thread->id == process)
        return;
    thread->number = info->entry.nr;
    memcpy(thread->arguments, info->entry.args, sizeof thread->arguments);
    if (mode == 'l') {
        thread->inside = true;
        read_string(thread->id, info->entry.args[0], thread->paths[0]);
        read_string(thread->id, info->entry.args[1], thread->paths[1]);
        read_string(thread->id, info->entry.args[3], thread->paths[2]);
    } else if (at && !done && ++seen >= when) {
        thread->inside = interfere(thread->id);
    }
}

static void leave(struct thread *thread, const struct __ptrace_syscall_info *info)
{
    if (!thread->inside)
        return;
    thread->inside = false;
    if (mode != 'l') {
        struct user_regs_struct registers = registers_of(thread->id);
        registers.rax = (unsigned long long)-value;
        set_registers(thread->id, &registers);
        return;
    }
    fprintf(log_file, "%d %llu %lld %lld %lld %lld %lld p:%s p:%s p:%s\n", (int)thread->id,
            (unsigned long long)thread->number, (long long)info->exit.rval,
            (long long)(int)thread->arguments[0], (long long)thread->arguments[1],
            (long long)thread->arguments[2], (long long)thread->arguments[3], thread->paths[0],
            thread->paths[1], thread->paths[2]);
}

static void stopped_at_call(pid_t id)
{
    struct __ptrace_syscall_info info;

    if (ptrace(PTRACE_GET_SYSCALL_INFO, id, (void *)sizeof info, &info) < 0) {
        if (errno == ESRCH)
            return;
        fail("PTRACE_GET_SYSCALL_INFO");
    }
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
        enter(thread_of(id), &info);
    else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
        leave(thread_of(id), &info);
}

/* Once all has been done that was to be done, threads run at their own speed. */
static void go_on(pid_t id, int number)
{
    bool watch = !done || thread_of(id)->inside;

    ptrace(watch ? PTRACE_SYSCALL : PTRACE_CONT, id, NULL, (void *)(intptr_t)number);
}

static void stopped(pid_t id, int status)
{
    int number = WSTOPSIG(status);

    if (number == (SIGTRAP | 0x80)) {
        stopped_at_call(id);
        number = 0;
    } else if (status >> 16 != 0 || number == SIGSTOP || number == SIGTRAP) {
        number = 0; /* a new thread, or the command has begun */
    }
    go_on(id, number);
}

/* The process that works is in nobody's way when the command has ended, and no zombie. */
static void end_all(void)
{
    for (size_t i = 0; i < THREADS; i++) {
        if (threads[i].id > 0)
            kill(threads[i].id, SIGKILL);
    }
    while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR) {
    }
}

static int run(void)
{
    int status;

    for (;;) {
        pid_t id = waitpid(-1, &status, __WALL);
        if (id < 0)
            fail("waitpid");
        if (WIFSTOPPED(status))
            stopped(id, status);
        else if (id == process)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        else
            thread_of(id)->id = -1;
    }
}

static void start(char *command[])
{
    const long options =
        PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_EXITKILL;
    int status;

    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    process = fork();
    if (process == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
            fail("PTRACE_TRACEME");
        execv(command[0], command);
        fail(command[0]);
    }
    if (process < 0 || waitpid(process, &status, 0) < 0)
        fail("fork");
    if (!WIFSTOPPED(status))
        exit(FAILED);
    if (ptrace(PTRACE_SETOPTIONS, process, NULL, (void *)options) < 0)
        fail("PTRACE_SETOPTIONS");
    go_on(process, 0);
}

int main(int count, char *words[])
{
    int first = 3;

    if (count < 4)
        return FAILED;
    log_file = fopen(words[1], "w");
    mode = words[2][0];
    if (!log_file)
        fail(words[1]);
    if (mode != 'l') {
        if (count < 7)
            return FAILED;
        value = atol(words[3]);
        wanted = strtoull(words[4], NULL, 10);
        when = strtoul(words[5], NULL, 10);
        first = 6;
    }
    start(words + first);
    int status = run();
    end_all();
    return fclose(log_file) == 0 ? status : FAILED;
}
