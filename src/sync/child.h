/* SPDX-License-Identifier: MIT */
/*
 * Runs another program without a shell. It has a text, or nothing, on standard input; a session of
 * its own, so no terminal to ask on; default signals; and the C locale. It gets SIGTERM when the
 * thread that started it ends, for whatever reason.
 */
#pragma once

#include "base/names.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { CHILD_STREAMS = 2, CHILD_LINE_SIZE = 8192 };

/* Standard output and standard error, line by line; overlong lines are cut. */
struct child_stream {
    int fd; /* below 0: at its end */
    size_t length;
    char line[CHILD_LINE_SIZE];
};

struct child {
    pid_t pid;     /* 0: none */
    int handle;    /* readable when it has ended; below 0: that is known */
    double ended;  /* when: seconds of clock_seconds() */
    uint64_t said; /* bytes that were read of its streams */
    double looked; /* when it was looked at last, as well */
    double idle;   /* seconds without any work to speak of */
    struct deeds {
        int64_t in, out; /* bytes */
        double computed; /* seconds */
    } deeds;             /* until the idle time began */
    bool stuck;          /* it has ended, but its own children do not, not even by SIGKILL */
    struct child_stream streams[CHILD_STREAMS];
};

#define NO_CHILD ((struct child){.handle = -1, .streams = {{.fd = -1}, {.fd = -1}}})

/* A command line; the first word is the program. */
struct words {
    struct names names;
    const char *input; /* what it reads; NULL: nothing */
    bool failed;       /* there was no memory for a word */
};

void words_add(struct words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds words as they are. */
#define WORDS_ADD(words, ...) words_add_all(words, (const char *const[]){__VA_ARGS__, NULL})
void words_add_all(struct words *words, const char *const list[]);

/* Starts WORDS. Returns 0 or a negative errno. */
enum { CHILD_NOT_FOUND = 127 }; /* the status of a program that is not there */
int child_start(const struct words *words, struct child *ret);

/* Calls TAKE for each line that is there now, of all streams. TAKE may change the line. */
typedef void child_take(void *context, int stream, char *line);
void child_read(struct child *child, child_take *take, void *context);

/*
 * Sends SIGTERM to the program alone, which ends its own children. A receiving rsync that gets a
 * second signal while it saves a partial file leaves that where no run finds it.
 */
void child_end(const struct child *child);

/* SIGKILL, to all that it started as well. */
void child_kill(const struct child *child);

/*
 * Returns true if the program and all its children have ended: the children get SIGTERM, and some
 * seconds to clean up. *RET is its status as of waitpid(2). Call it after its lines were read.
 */
bool child_has_ended(struct child *child, int *ret);

/*
 * Returns for how many seconds it has only waited, by what the kernel counts of it and its
 * children: bytes read and written, and processor time. 0 where the kernel does not say. To be
 * called every now and then. IDLE_IN: bytes a second that it reads while it waits. Programs do not
 * always notice that nobody answers any more: see docs/design.md.
 */
double child_idle(struct child *child, unsigned idle_in);

/* Does not wait: a killed program that hangs in the kernel ends when it wakes up. */
void child_leave(struct child *child);

/*
 * Runs WORDS, which it clears, for SECONDS at most, as a file system may hang; then the program is
 * ended. TAKE gets its lines. Returns its status as of waitpid(2), or a negative errno; -ETIMEDOUT.
 */
int child_ask(struct words *words, int seconds, child_take *take, void *context);

/* As child_ask. RET, which may be NULL, gets the first line of each stream, or NULL; the caller
 * frees them. */
int child_run(struct words *words, int seconds, char *ret[CHILD_STREAMS]);
