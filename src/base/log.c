/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum {
    /* Longer lines are cut. It holds a path of PATH_MAX bytes and what is said of it. */
    LINE_SIZE = 4096 + 1024,
    /* How many lines of log_once are known again. */
    REMEMBERED = 1024,
};

/* Lines of log_once, by FNV-1a (Fowler, Noll, Vo). */
static struct {
    pthread_mutex_t lock;
    uint64_t lines[REMEMBERED];
    size_t next;
} lately = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct {
    enum log_level limit;
    bool syslog, muted;
    void (*before)(void);
    int file; /* 0: none */
} settings = {.limit = LOG_LEVEL_WARNING};

void log_to_syslog(void)
{
    openlog("zfec-fs", LOG_PID, LOG_DAEMON);
    settings.syslog = true;
    memset(lately.lines, 0, sizeof lately.lines); /* they were said elsewhere */
}

int log_to_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

    if (fd < 0)
        return log_errno(-errno, "%s: cannot be the log file", path);
    settings.file = fd;
    return 0;
}

void log_mute(bool muted)
{
    settings.muted = muted;
}

void log_before(void (*before)(void))
{
    settings.before = before;
}

void log_limit(enum log_level level)
{
    settings.limit = level;
}

/*
 * How many bytes at TEXT are one character that may be shown: 0 where they are no UTF-8, a longer
 * form of it than need be, or a control character, also one of those behind ASCII.
 */
static size_t shown_length(const char *text)
{
    static const uint32_t least[] = {0, 0x20, 0xa0, 0x800, 0x10000}; /* of so many bytes */
    const unsigned char *byte = (const unsigned char *)text;
    size_t length = byte[0] < 0x80   ? 1
                    : byte[0] < 0xc0 ? 0
                    : byte[0] < 0xe0 ? 2
                    : byte[0] < 0xf0 ? 3
                    : byte[0] < 0xf8 ? 4
                                     : 0;
    uint32_t character = length > 1 ? byte[0] & (0x7fU >> length) : byte[0];

    for (size_t i = 1; i < length; i++) {
        if ((byte[i] & 0xc0) != 0x80)
            return 0;
        character = character << 6 | (byte[i] & 0x3f);
    }
    bool shown = character >= least[length] && character != 0x7f && character <= 0x10ffff &&
                 (character < 0xd800 || character > 0xdfff);
    return shown ? length : 0;
}

/* Copies TEXT to LINE (SIZE bytes), unprintable bytes as \xNN. Returns the length. */
static size_t escape(const char *text, char *line, size_t size)
{
    size_t length = 0;

    for (; *text && length + 4 < size - 1; text++) {
        size_t shown = shown_length(text);
        if (shown > 0) {
            memcpy(line + length, text, shown);
            length += shown;
            text += shown - 1;
            continue;
        }
        length += (size_t)sprintf(line + length, "\\x%02x", (unsigned char)*text);
    }
    line[length] = '\0';
    return length;
}

char *log_escape(const char *text)
{
    size_t size = 4 * strlen(text) + 6;
    char *line = malloc(size);

    if (line)
        escape(text, line, size);
    return line;
}

static void emit(enum log_level level, const char *text)
{
    static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO};
    char line[LINE_SIZE + 1], stamp[32];
    struct tm parts;
    time_t now = time(NULL);

    if (settings.muted)
        return;
    size_t length = escape(text, line, LINE_SIZE);
    if (settings.syslog) {
        syslog(priorities[level], "%s", line);
        return;
    }
    /* One call for the whole line: lines of several threads must not mix. */
    strcpy(line + length, "\n");
    if (settings.before)
        settings.before();
    fprintf(stderr, "zfec-fs: %s", line);
    if (settings.file > 0) { /* with the time, which a terminal does not need */
        strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", localtime_r(&now, &parts));
        dprintf(settings.file, "%s %s", stamp, line);
    }
}

/* A declaration: TEXT, with what follows FORMAT in it. */
#define FORMATTED(text, format)                                                                    \
    char text[LINE_SIZE];                                                                          \
    va_list arguments;                                                                             \
    va_start(arguments, format);                                                                   \
    vsnprintf(text, sizeof(text), format, arguments);                                              \
    va_end(arguments)

void log_message(enum log_level level, const char *format, ...)
{
    if (level > settings.limit)
        return;
    FORMATTED(text, format);
    emit(level, text);
}

void log_once(const char *format, ...)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    bool found = false;

    FORMATTED(text, format);
    if (settings.limit < LOG_LEVEL_WARNING)
        return;
    for (const char *at = text; *at; at++)
        hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
    pthread_mutex_lock(&lately.lock);
    for (size_t i = 0; i < REMEMBERED && !found; i++)
        found = lately.lines[i] == hash;
    if (!found)
        lately.lines[lately.next++ % REMEMBERED] = hash;
    pthread_mutex_unlock(&lately.lock);
    if (!found)
        emit(LOG_LEVEL_WARNING, text);
}

int log_errno(int error, const char *format, ...)
{
    char reason[128];

    FORMATTED(text, format);
    size_t length = strlen(text);
    snprintf(text + length, sizeof text - length, ": %s",
             strerror_r(-error, reason, sizeof reason));
    emit(LOG_LEVEL_ERROR, text);
    return error;
}
