/* SPDX-License-Identifier: MIT */
/* rsync and rclone: how they are called, and what they say meanwhile. */
#pragma once

#include "sync/child.h"
#include "sync/sets.h"

#include <stdint.h>

/* What one call is to do: bring a node up to date; or compare what a list of files names. */
struct order {
    const struct node *node;
    const char *share; /* the directory of the node's share in the view */
    const char *list;  /* a file of paths, each with list_end behind it; NULL: bring up to date */
    bool dry_run;
    bool known;      /* the share was there before: its directory is not to be made again */
    bool checksum;   /* compare contents, not sizes and times */
    bool each_file;  /* tell of each */
    const char *few; /* a list like that of a few small files to ask for; or NULL */
    bool no_times, no_checksums; /* the node keeps none: see ask */
};

enum move { MOVE_SENT, MOVE_REMOVED, MOVE_DIFFERENT };

/* What is known of one call. */
struct report {
    uint64_t files, bytes;       /* sent, until now */
    uint64_t removed, errors;    /* files */
    uint64_t different;          /* of those that were compared */
    char reason[512];            /* the first error, in the program's own words */
    bool compares;               /* its order has a list */
    bool asks;                   /* it asks, see there */
    bool no_times, no_checksums; /* what the answer was */
    bool contradicts;            /* the same: a file of one size and time has other bytes */
    void *context;               /* of: */
    void (*told)(void *context, enum move move, const char *path);
};

struct mover_operations {
    char list_end;    /* what stands behind each path of a list */
    unsigned idle_in; /* bytes a second: what it reads while it only waits */
    unsigned late;    /* seconds behind the timeout in which a sign of life may still come */
    /*
     * Adds words that ask what the node can keep, or whether what it holds is what it should be;
     * the answer comes by take. Returns whether there is something to ask.
     */
    bool (*ask)(const struct order *order, struct words *words);

    /* Adds the words that call it. */
    void (*call)(const struct order *order, struct words *words);

    /* A line of standard output (STREAM 0) or standard error (1). */
    void (*take)(struct report *report, int stream, char *line);

    /* Whether all is known that it was asked, where it ended with STATUS. */
    bool (*has_answered)(int status);

    /* Why it ended with STATUS (not 0), where the report has no reason; NULL: unknown. */
    const char *(*meaning)(int status);

    /* Whether it makes sense to try again after STATUS. */
    bool (*may_retry)(int status);
};

const struct mover_operations *mover_operations(enum mover mover);

extern const struct mover_operations rsync_operations, rclone_operations;

/* TEXT is the reason, unless there is one. */
void report_reason(struct report *report, const char *text);
