/* SPDX-License-Identifier: MIT */
/*
 * What the commands that copy have in common: targets, settings, and telling what was done.
 * Functions return 0 or a negative errno, which was logged.
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
    struct tree *trees[256];        /* of the targets, where they are its own */
    char *names[256];               /* what they are called */
    struct whereabouts places[256]; /* and where that is */
    size_t count;
    struct names made; /* directories that did not exist before */
    bool begun;        /* something may have been written to them */
    atomic_ullong counts[COPY_KINDS];
    atomic_ullong hidden;  /* names that too few stores have */
    struct source *stores; /* of decode: --delete takes what none of them has */
    bool counting; /* the first pass, which only counts for the progress and reports nothing */
};

/* To be called before any thread is started. End it in any case. */
int copying_begin(struct copying *copying, const struct options *options);

/*
 * Adds a target at PATH, a directory, or (not in a dry run) a place where one can be made. SHARE as
 * struct target has it; INPUTS are the real paths of all that is read, which PATH must not overlap.
 * Makes nothing. Returns -EINVAL if PATH cannot be used.
 */
int copying_add(struct copying *copying, const char *path, int share, const struct names *inputs);

/* Makes the directory PATH, unless it exists, or the run is dry. */
int copying_make_directory(struct copying *copying, const char *path);

/* Makes the targets' directories, and opens them. Returns -EINVAL if two of them are one. */
int copying_open(struct copying *copying);

/* Brings the targets up to date, and says how many of what there were. */
enum exit_status copying_run(struct copying *copying, struct source *source);

/* The parts of that: takes the RESULT of copy_run, writes out the names of directories that were
 * made for it, and returns RESULT, or why that failed; says what was done. */
int copying_finish(struct copying *copying, int result);
void copying_summarize(struct copying *copying, enum exit_status status);

/* As struct copy_settings has it: counts what was done, and tells of failures and what was asked
 * for. */
void copying_tell(void *copying, const struct copy_event *event);

/* Where nothing was begun, the directories that were made are removed again. */
void copying_end(struct copying *copying);
