/* SPDX-License-Identifier: MIT */
/*
 * What the commands show: results on standard output, as text or as JSON lines, and on a terminal
 * how far they are. Any thread may call it.
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

/* Ends the line about progress. Returns 0, or a negative errno where something was not written. */
int output_end(void);

/* Returns true if progress is shown: on a terminal, unless quiet. */
bool output_has_progress(void);

enum colour { COLOUR_NONE, COLOUR_GOOD, COLOUR_WARNING, COLOUR_BAD };

/* A line of text; nothing where the output is JSON, or quiet. */
void output_text(enum colour colour, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line of JSON, of message type TYPE; takes OBJECT over. */
void output_json(const char *type, json_t *object);

/*
 * Sets KEY to a path. One that is not UTF-8 is there with its other bytes replaced, and as it is in
 * base64 as KEY_base64.
 */
void output_json_path(json_t *object, const char *key, const char *path);

/* [[3,3],[7,9]]; NULL where nothing is damaged, unless an empty array is WANTED. */
json_t *json_ranges(const struct damage *damage, bool wanted);

/*
 * Shows progress: lines separated by newlines, cut to fit the terminal. With ALWAYS, also if
 * progress is not shown otherwise, and so that it stays.
 */
void output_progress(const char *lines, bool always);

/* A text in the making; all zero at first. */
struct draft {
    FILE *out;
    char *bytes;
    size_t size;
    bool failed; /* for want of memory */
};
void draft_add(struct draft *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What the parts of enum metadata_part are called, those of lower bits first. */
extern const char *const metadata_words[METADATA_PARTS];

/* Adds "mode, time". */
void draft_add_metadata(struct draft *text, unsigned parts);

/* Both end it: returns all of TEXT, or NULL without memory; or shows it as output_text does. */
char *draft_take(struct draft *text);
void output_draft(enum colour colour, struct draft *text);

/* "", or "s" where there is not one. */
const char *plural(uint64_t count);

/* Sizes and counts as people read them; RET is returned. */
struct shown {
    char text[32];
};
struct shown show_bytes(uint64_t bytes);  /* 1.2 GB */
struct shown show_count(uint64_t number); /* 12,345 */
struct shown show_time(double seconds);   /* 1:02:03 */

/*
 * A thread that shows a run's progress after a second, and when SIGUSR1 asks for it; and that has
 * the run stop when the user wants that (SIGINT, SIGTERM, SIGHUP; once more ends the process).
 */
struct meter {
    struct progress progress;
    const char *name;       /* of the command */
    const char *after_stop; /* what another run does: told when this one is stopped */
    pthread_t thread;
    atomic_bool ended;
    double started; /* seconds of the monotonic clock */
};

/* To be called before any other thread is started. Returns 0 or a negative errno, logged. */
int meter_start(struct meter *meter, const char *name, const char *after_stop);

void meter_stop(struct meter *meter);

/* Returns the seconds since the start. */
double meter_seconds(const struct meter *meter);
