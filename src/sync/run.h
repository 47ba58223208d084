/* SPDX-License-Identifier: MIT */
/*
 * Runs rsync or rclone for many nodes at once, each in its own time: what one does holds up no
 * other. One thread, which waits for whatever comes first.
 */
#pragma once

#include "sync/mover.h"
#include "sync/pulse.h"

enum node_step { NODE_WAITING, NODE_RUNNING, NODE_ENDING, NODE_KILLED, NODE_DONE };

struct node_run {
    struct order order;
    enum node_step step;
    struct child child;
    struct pulse pulse;
    struct report report;           /* of this try */
    uint64_t files, bytes, removed; /* of those before */
    bool is_asking, was_asked;      /* see mover_operations */
    unsigned tries;
    double began, ended; /* the first try, the last: seconds of clock_seconds() */
    double due;          /* when it is to be started, or killed, or left to itself */
    int result;          /* in the end: 0, -EIO, -ETIMEDOUT (the deadline), -ECANCELED */
};

/* Distrusted: it holds other bytes than it should, and all is compared. */
enum node_event { NODE_BEGINS, NODE_IS_DISTRUSTED, NODE_FAILS_FOR_NOW, NODE_ENDS };

struct run {
    struct node_run *nodes;
    size_t count;
    unsigned jobs; /* so many at once */
    bool stop;     /* end all that is under way, and begin nothing */
    int wake;      /* a descriptor: woken is called when it is readable */
    double pace;   /* seconds between two calls of look */
    void *context; /* of: */
    void (*woken)(void *context);
    void (*look)(void *context);
    void (*happened)(void *context, const struct node_run *node, enum node_event event);
};

/* Runs until every node is done. Each has its order, and of the report what is told. */
void run_nodes(struct run *run);

/* What was done in all tries, the present one as well. */
uint64_t node_run_files(const struct node_run *node);
uint64_t node_run_bytes(const struct node_run *node);
uint64_t node_run_removed(const struct node_run *node);
