/* SPDX-License-Identifier: MIT */
/*
 * Shared by the commands that copy: targets, settings, and the report. Functions return 0 or a
 * negative errno, which was logged.
 */
#pragma once

#include "cli/options.h"
#include "cli/output.h"
#include "engine/copy.h"
#include "tree/whereabouts.h"

struct copying {
    const struct options *options;
    struct meter meter;
    struct copy_settings settings;
    struct target targets[256];
    struct tree *trees[256];        /* of the targets that have their own */
    char *names[256];               /* of the targets, for messages */
    struct whereabouts places[256]; /* of the targets */
    size_t count;
    struct names made; /* directories that were made */
    bool begun;        /* something may have been written */
    atomic_ullong counts[COPY_KINDS];
    atomic_ullong hidden;  /* names that too few stores have */
    struct source *stores; /* for decode: --delete removes only what none of them has */
    bool counting;         /* this is the first pass, which only counts for the progress */
};

/* Call it before any thread is started. End it in any case. */
int copying_begin(struct copying *copying, const struct options *options);

/*
 * Adds a target at PATH, a directory or (not in a dry run) a place where one can be made. SHARE as
 * in struct target; INPUTS are the real paths of everything that is read, which PATH must not
 * overlap. Makes nothing. Returns -EINVAL if PATH cannot be used.
 */
int copying_add(struct copying *copying, const char *path, int share, const struct names *inputs);

/* Makes the directory PATH, unless it exists, or the run is dry. */
int copying_make_directory(struct copying *copying, const char *path);

/* Makes the targets' directories, and opens them. Returns -EINVAL if two of them are the same. */
int copying_open(struct copying *copying);

/* Updates the targets, and reports how many files and other names were handled. */
enum exit_status copying_run(struct copying *copying, struct source *source);

/* The parts of copying_run: takes the RESULT of copy_run, writes out the names of directories that
 * were made, and returns RESULT or why that failed; reports. */
int copying_finish(struct copying *copying, int result);
void copying_summarize(struct copying *copying, enum exit_status status);

/* For struct copy_settings: counts what was done, reports failures and what the user asked for. */
void copying_tell(void *copying, const struct copy_event *event);

/* Removes the directories that were made if nothing was begun. */
void copying_end(struct copying *copying);
