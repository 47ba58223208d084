/* SPDX-License-Identifier: MIT */
/* rsync and rclone: how they are called, and what they say meanwhile. */
#pragma once

#include "sync/child.h"
#include "sync/sets.h"

#include <stdint.h>
#include <time.h>

enum task {
    TASK_UPDATE,  /* bring a node up to date */
    TASK_COMPARE, /* compare the files of a list by content */
    TASK_RESEND,  /* send the files of a list, whatever the node has; of rclone */
    TASK_FIND,    /* find what stopped runs may have left: see leftovers.h */
    TASK_REMOVE,  /* remove what was prepared of that */
};

/* What one call is to do. */
struct order {
    const struct node *node;
    enum task task;
    const char *share; /* the directory of the node's share in the view */
    const char *list;  /* a file of paths, each with list_end behind it; what prepare writes */
    const char *place; /* where TASK_FIND finds an empty directory, and prepare makes one */
    time_t since;      /* of TASK_FIND: when what was left began to be written */
    bool dry_run;
    bool known;      /* the share was there before: its directory is not to be made again */
    bool checksum;   /* compare contents, not sizes and times */
    bool everything; /* send all, whatever the node has; of rclone, whose checksums may be wrong */
    bool each_file;  /* tell of each */
    const char *few; /* a list like that of a few small files to ask for; or NULL */
    bool no_times, no_checksums; /* the node keeps none: see ask */
};

enum move { MOVE_SENT, MOVE_REMOVED, MOVE_DIFFERENT, MOVE_LEFT };

/* What is known of one call. */
struct report {
    uint64_t files, bytes;    /* sent, until now */
    uint64_t removed, errors; /* files */
    uint64_t different;       /* of those that were compared */
    uint64_t unread;          /* of these: they could not be read at the node */
    char reason[512];         /* the first error, in the program's own words */
    enum task task;
    time_t since;                /* of its order */
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

    /* Writes what the call of TASK_REMOVE needs. Returns 0 or a negative errno. */
    int (*prepare)(const struct order *order, const struct names *paths);

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
