/* SPDX-License-Identifier: MIT */
/* What the commands that copy have in common: targets, settings, and telling what was done. */
#pragma once

#include "cli/exit_status.h"
#include "cli/meter.h"
#include "cli/work.h"
#include "tool/copy.h"

struct copying {
    const struct work *work;
    struct meter meter;
    struct copy_settings settings;
    struct target targets[256];
    struct tree *trees[256]; /* of the targets, where they are its own */
    char *names[256];        /* and what they are called */
    size_t count;
    atomic_ullong counts[COPY_KINDS];
};

/* To be called before any thread is started. Returns 0 or a negative errno, which was logged. */
int copying_begin(struct copying *copying, const struct work *work);

/*
 * Adds a target at PATH, a directory that is made if it is not there (not in a dry run: then it is
 * none). SHARE as struct target has it; INPUTS are the real paths of what is read, to be kept out
 * of harm's way. Returns as above.
 */
int copying_add(struct copying *copying, const char *path, int share, const struct names *inputs);

/* Brings the targets up to date, and says how many of what there were. */
enum exit_status copying_run(struct copying *copying, struct source *source);

/* Says what was done. */
void copying_summarize(struct copying *copying, enum exit_status status);

void copying_end(struct copying *copying);
