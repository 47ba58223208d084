/* SPDX-License-Identifier: MIT */
/*
 * The output of commands: results on standard output, as text or JSON lines, and progress on a
 * terminal. Any thread may call it.
 */
#pragma once

#include "cli/options.h"
#include "engine/progress.h"
#include "restore/damage.h"
#include "tree/metadata.h"

#include <jansson.h>
#include <stdio.h>

/* Sets verbosity, form and colours by OPTIONS. Returns 0 or a negative errno (the log file). */
int output_begin(const struct options *options);

/* Ends the progress line. Returns 0, or a negative errno if something was not written. */
int output_end(void);

/* Returns true if progress is shown: on a terminal, unless quiet. */
bool output_has_progress(void);

enum colour { COLOUR_NONE, COLOUR_GOOD, COLOUR_WARNING, COLOUR_BAD };

/* Prints a line of text, unless the output is JSON or quiet. */
void output_text(enum colour colour, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints a line of JSON, of message type TYPE; takes OBJECT over. */
void output_json(const char *type, json_t *object);

/*
 * Sets KEY to a path. If it is not UTF-8, bytes are replaced in it, and KEY_base64 has the exact
 * path.
 */
void output_json_path(json_t *object, const char *key, const char *path);

/* Returns [[3,3],[7,9]]; NULL if nothing is damaged, unless an empty array is WANTED. */
json_t *json_ranges(const struct damage *damage, bool wanted);

/*
 * Shows progress: lines separated by newlines, cut to fit the terminal. With ALWAYS, shows it even
 * if progress is off, and leaves it there.
 */
void output_progress(const char *lines, bool always);

/* A text being built; all zero at first. */
struct draft {
    FILE *out;
    char *bytes;
    size_t size;
    bool failed; /* for want of memory */
};
void draft_add(struct draft *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The names of the parts in enum metadata_part, lowest bit first. */
extern const char *const metadata_words[METADATA_PARTS];

/* Adds "mode, time". */
void draft_add_metadata(struct draft *text, unsigned parts);

/* Both end the text: draft_take returns all of it, or NULL without memory; output_draft shows it
 * like output_text. */
char *draft_take(struct draft *text);
void output_draft(enum colour colour, struct draft *text);

/* Returns "", or "s" unless COUNT is 1. */
const char *plural(uint64_t count);

/* Sizes and counts in a readable form. */
struct shown {
    char text[32];
};
struct shown show_bytes(uint64_t bytes);  /* 1.2 GB */
struct shown show_count(uint64_t number); /* 12,345 */
struct shown show_time(double seconds);   /* 1:02:03 */

/*
 * A thread that shows a run's progress after a second, and whenever SIGUSR1 comes. It has the run
 * stop on SIGINT, SIGTERM or SIGHUP; a second such signal ends the process.
 */
struct meter {
    struct progress progress;
    const char *name;       /* of the command */
    const char *after_stop; /* what another run does: shown when this one is stopped */
    pthread_t thread;
    atomic_bool ended;
    double started; /* seconds of the monotonic clock */
};

/* Call it before any other thread is started. Returns 0 or a negative errno, logged. */
int meter_start(struct meter *meter, const char *name, const char *after_stop);

void meter_stop(struct meter *meter);

/* Returns the seconds since the start. */
double meter_seconds(const struct meter *meter);
