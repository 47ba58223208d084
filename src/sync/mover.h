/* SPDX-License-Identifier: MIT */
/* rsync and rclone: tasks for a node, the command lines for them, and the parsing of output. */
#pragma once

#include "sync/child.h"
#include "sync/description.h"
#include "sync/sets.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum transfer_task {
    TASK_REACH,        /* find the place of a node, and do nothing there */
    TASK_UPDATE,       /* bring a node up to date */
    TASK_COMPARE,      /* compare the files of a list by content, and its symlinks; of rsync */
    TASK_COMPARE_BACK, /* compare the symlinks of a list with those that an rsync daemon gives back
                        */
    TASK_RESEND,       /* send the names of a list where their contents differ; by rclone, always */
    TASK_ROOT,         /* give the root alone its metadata, or the time of PLACE; of rsync */
    TASK_FIND,         /* find what stopped runs may have left: see leftovers.h */
    TASK_REMOVE,       /* remove what was prepared of that */
    TASK_ASK,          /* fetch the node's description, if there is one */
    TASK_FETCH,        /* fetch its share to PLACE, or what was prepared of it; of rsync */
};

/* Questions that come before the work, in this order; most of them only before an update. */
enum transfer_question {
    QUESTION_MOUNT,       /* where its file system is mounted: a directory of this machine */
    QUESTION_DESCRIPTION, /* what it says it is */
    QUESTION_FEATURES,    /* what it can keep; of rclone */
    QUESTION_CONTENTS,    /* whether what it holds is what it should be */
    QUESTION_NAMES,       /* how many names it has, and how many of them would be deleted */
    QUESTION_CLEARED,     /* none: removes what is in the way, which rsync does with the rest */
    QUESTION_DESCRIBED,   /* none: sends the description, which rsync sends with the rest */
    QUESTION_KEYED,       /* none: sends first what says that a sealed share is of this set, */
    QUESTION_SENT,        /* none: then the contents of its files, */
    QUESTION_LISTED,      /* none: and then manifests, by content, where times do not tell */
    QUESTION_NONE,
};

/* Sent link: a symlink, to an rsync daemon. Kept: the source no longer has it. */
enum move { MOVE_SENT, MOVE_SENT_LINK, MOVE_REMOVED, MOVE_DIFFERENT, MOVE_LEFT, MOVE_KEPT };

/* Distrusted: the node holds other bytes than it should; all contents are compared. */
enum transfer_event { TRANSFER_BEGINS, TRANSFER_IS_DISTRUSTED, TRANSFER_FAILS_FOR_NOW };

enum transfer_step {
    TRANSFER_NONE, /* nothing is to be done for this node */
    TRANSFER_DONE,
    TRANSFER_WAITING,
    TRANSFER_RUNNING,
    TRANSFER_ENDING,
    TRANSFER_KILLED,
};

/* A task for one node, in as many tries as it takes. */
struct transfer {
    /* What is asked for. */
    const struct sync_node *node;
    enum transfer_task task;
    char *share;  /* the directory of the node's share in the view */
    char *list;   /* a file of paths, each with list_end behind it; what prepare writes */
    char *way;    /* a file for the rules by which rclone removes what is in the way */
    char *place;  /* an empty directory for TASK_FIND, in which prepare makes others */
    char *above;  /* the directory in which rsync makes the node's, where that is not known */
    char *theirs; /* a directory for the description that the node has */
    char *ours;   /* the directory of the one that it should have */
    const struct sync_set *set;    /* that it describes; NULL: it is neither asked for nor sent */
    const struct seal_terms *seal; /* of sealed shares, which are sent in an order; NULL: others */
    char *keys; /* a directory with the file `key` that it should have; NULL: it should have none */
    bool adopts; /* it is replaced, whatever it says */
    const char
        *few; /* of TASK_UPDATE: a list like that, of a few small files to ask for, or NULL */
    bool dry_run;
    bool remove_most; /* delete what is to be deleted, however much of the node that is */
    bool known;       /* the share was there before: its directory is not to be made again */
    bool is_new;      /* nothing may be there yet, */
    bool goes_on;     /* unless what is there says that it is of this set and share */
    bool checksum;    /* compare contents, not sizes and times */
    bool everything; /* send all, whatever the node has; for rclone, whose checksums may be wrong */
    bool each_file;  /* tell of each */
    bool counts;     /* names that the source no longer has, also where they are not deleted */
    char mount[PATH_MAX]; /* where its file system was mounted last; "": unknown */
    void *context;        /* of: */
    void (*moved)(const struct transfer *transfer, enum move move, const char *path);
    void (*happened)(const struct transfer *transfer, enum transfer_event event); /* or NULL */

    /* What was learnt by asking. */
    enum transfer_question question; /* what it is asked now */
    char seen[PATH_MAX];             /* where its file system is mounted; "": unknown */
    bool no_times, no_checksums;     /* the node keeps none */
    bool coarse_times;               /* it keeps them, but not to the nanosecond */
    bool described, keyed;           /* as it should be */
    bool absent;                     /* the description that was asked for, */
    bool no_place;                   /* and the directory in which it would be */
    uint64_t equal;                  /* of the files that were compared, those that are right */
    uint64_t contradictions;         /* of one size and time, with other bytes */
    uint64_t leftovers;              /* of stopped runs, which do not count as names */
    uint64_t names, surplus; /* that the node has; of these, those that the source no longer has */
    bool counted;            /* these are all */
    uint64_t blocking;       /* names that are in the way of what is sent: a symlink above all */
    char blocker[NAME_MAX];  /* the first of them, or what fits of it */
    bool cleared;            /* they were removed: there must be none by now */

    /* What came of it. */
    struct counts {
        uint64_t files, bytes; /* sent */
        uint64_t removed;
    } done, before;           /* until now; before the program that runs began */
    uint64_t errors;          /* of this try */
    bool collides;            /* two names of the source are one at the node: one was not sent */
    uint64_t different;       /* of those that were compared */
    uint64_t unread;          /* of these: they could not be read at the node */
    char reason[REASON_SIZE]; /* the first error of this try, in the program's own words */
    bool is_final;            /* another try would end with it as well */
    int result; /* in the end: 0, -EIO, -EPERM (refused), -ETIMEDOUT (the deadline), -ECANCELED */
    unsigned tries;
    double began, ended; /* the first try, the last: seconds of clock_seconds() */

    /* How it is run. */
    enum transfer_step step;
    double due; /* when it is to be started, killed, or given up */
    struct child child;
};

struct mover {
    char list_end;     /* what stands behind each path of a list */
    unsigned idle_in;  /* bytes a second: what it reads while it only waits */
    unsigned late;     /* seconds behind the timeout in which a sign of life may still come */
    int answers;       /* the status with which it has answered a question as well as with 0 */
    int makes;         /* the status where a place is missing that it makes; 0: none */
    bool clears;       /* what is in the way, by a call of its own, QUESTION_CLEARED */
    bool describes;    /* by a call of its own, QUESTION_DESCRIBED */
    bool has_features; /* QUESTION_FEATURES */

    /* Writes what the call of TASK_REMOVE or TASK_FETCH needs. Returns 0 or a negative errno. */
    int (*prepare)(const struct transfer *transfer, const struct names *paths);

    /* Adds the words that call it. */
    void (*call)(const struct transfer *transfer, struct words *words);

    /* Takes a line of standard output (STREAM 0) or standard error (1). */
    void (*take)(struct transfer *transfer, int stream, char *line);

    /* What it may end with; the last has status 0. */
    const struct ending {
        int status;
        const char *meaning; /* where it has said nothing; NULL: unknown */
        bool is_final;       /* another try makes no sense */
    } * endings;
};

/* Where TASK_COMPARE_BACK finds a difference. */
#define RSYNC_CHANGES_LINKS                                                                        \
    "symlinks there are not as they were sent: its rsync daemon changes them, unless rsyncd.conf " \
    "has \"use chroot = yes\" or \"munge symlinks = yes\""

/* Returns true if manifests are compared by content, as two may have one size and time there. */
static inline bool transfer_lists(const struct transfer *transfer)
{
    const struct terms *terms = &transfer->node->terms;

    return transfer->seal && !transfer->dry_run &&
           (transfer->no_times || transfer->coarse_times || transfer->checksum ||
            transfer->everything || terms->look_at_checksums || terms->time_window > 0);
}

/* Returns true if all files that identify a node are to be fetched. */
static inline bool transfer_fetches_marks(const struct transfer *transfer)
{
    return transfer->seal ? transfer->question == QUESTION_DESCRIPTION || transfer->task == TASK_ASK
                          : transfer->task == TASK_ASK && !transfer->set;
}

/* Returns true if PATH at the node describes the set, and is no share. */
static inline bool transfer_is_description(const struct transfer *transfer, const char *path)
{
    return leftover_is_description(path) ||
           (transfer->seal && strcmp(path, SEALED_DESCRIPTION_NAME) == 0);
}

static inline bool transfer_compares(const struct transfer *transfer)
{
    return transfer->task == TASK_COMPARE || transfer->task == TASK_COMPARE_BACK;
}

/*
 * Returns how much an update may delete: never most of what the node has, as far as it was asked.
 */
static inline uint64_t transfer_removals(const struct transfer *transfer)
{
    uint64_t limit = transfer->node->terms.removals;
    uint64_t half = transfer->names / 2 + transfer->leftovers;

    return transfer->remove_most || half > limit ? limit : half;
}

/* Takes a name that the source has not. */
static inline void transfer_surplus(struct transfer *transfer, bool is_leftover, const char *name)
{
    transfer->leftovers += is_leftover;
    transfer->names += !is_leftover;
    transfer->surplus += !is_leftover;
    if (!is_leftover && !transfer->node->terms.remove)
        transfer->moved(transfer, MOVE_KEPT, name);
}

/* Sets the reason to TEXT, unless there is one, as one line and without its full stop, since
 * more follows it. */
static inline void transfer_reason(struct transfer *transfer, const char *text)
{
    char *reason = transfer->reason;

    if (*reason)
        return;
    snprintf(reason, sizeof transfer->reason, "%s", text);
    for (char *at = reason; *at; at++)
        *at = (char)(strchr("\r\n\t", *at) ? ' ' : *at);
    size_t length = strlen(reason);
    while (length > 0 && reason[length - 1] == ' ')
        length--;
    length -= length > 1 && reason[length - 1] == '.' && reason[length - 2] != '.';
    reason[length] = '\0';
}
