/* SPDX-License-Identifier: MIT */
/*
 * What the program has to say while it runs: one line a message, to standard error, or to syslog
 * once it has no terminal any more. Names in a message may hold any byte; control characters and
 * what is no UTF-8 are written as \xNN, so that no name can forge a line. Any thread may log at any
 * time.
 */
#pragma once

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO };

#define LOG_FORMAT(at, first) __attribute__((format(printf, at, first)))

/* From here on lines go to syslog (facility daemon). */
void log_to_syslog(void);

/* From here on lines go to the end of the file PATH as well. Returns 0 or a negative errno. */
int log_to_file(const char *path);

/* While it is MUTED nothing is logged: for a look whose failures a later one tells. */
void log_mute(bool muted);

/* BEFORE is called before a line is written to standard error; NULL: nothing. */
void log_before(void (*before)(void));

/* Returns TEXT as lines show it, which the caller frees: it forges no line. NULL: no memory. */
char *log_escape(const char *text);

/* What lines call PATH, which is relative to the root of a tree: "" is the root itself. */
static inline const char *log_path(const char *path)
{
    return *path ? path : ".";
}

/* Lines less urgent than LEVEL are dropped; LOG_LEVEL_INFO lets all pass. Default: warnings. */
void log_limit(enum log_level level);

void log_message(enum log_level level, const char *format, ...) LOG_FORMAT(2, 3);

/* Logs a warning, unless the same line was logged lately: for what is found often. */
void log_once(const char *format, ...) LOG_FORMAT(1, 2);

/* "<format>: <text of the errno in ERROR>"; returns ERROR (negative): `return log_errno(...)`. */
int log_errno(int error, const char *format, ...) LOG_FORMAT(2, 3);

#define log_error(...)   log_message(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_message(LOG_LEVEL_INFO, __VA_ARGS__)

/* An error's line; the value is RESULT, for `return log_as(-EINVAL, ...)`. */
#define log_as(result, ...) (log_error(__VA_ARGS__), (result))
