/* SPDX-License-Identifier: MIT */
/*
 * Where the share of a node can be read: a directory of this machine, or a mount that lasts as long
 * as the run. Other programs mount it and look at it, since a file system may hang.
 */
#pragma once

#include "cli/locked_folder.h"
#include "sync/child.h"
#include "sync/sets.h"

/* A node, and where its share is; or the rebuilt view, which has no node. */
struct lent_place {
    const struct sync_node *node;
    char *mountpoint;              /* NULL: it is a directory of this machine */
    const char *root, *beneath;    /* of its share; what is wanted of that, "": all */
    char *path;                    /* of the store */
    int fd;                        /* which that leads to, where something beneath is wanted */
    struct child mounting, asking; /* stat, so that a file system that hangs holds up nobody */
    unsigned awaited;              /* answers of that */
    dev_t other_device;            /* where it is before it is mounted; 0: none */
    enum {
        PLACE_NONE,
        PLACE_UNFETCHED, /* it may be fetched, if it is needed */
        PLACE_MOUNTS,
        PLACE_ANSWERS,
        PLACE_READY,
        PLACE_FAILED
    } state;
    char *copy;               /* of what was fetched */
    char reason[REASON_SIZE]; /* why it failed: the first line that a program has said */
};

/* How many seconds a node, NULL for the view, may take until it is mounted. */
unsigned lent_place_limit(const struct sync_node *node);

/* Notes that it failed; the reason is that which is noted already, if one is. */
void lent_place_fail(struct lent_place *place, const char *reason);

/* Makes a directory NAME in FOLDER to mount it at. Returns 0 or a negative errno, logged. */
int lent_place_make(struct lent_place *place, const struct locked_folder *folder, const char *name);

/* Starts what mounts the place there: by WORDS, which are cleared, or that of its node. Returns 0
 * or a negative errno. */
int lent_place_start(struct lent_place *place, struct words *words);
int lent_place_mount(struct lent_place *place);

/* Asks whether the store is there. */
void lent_place_ask(struct lent_place *place);

/* Goes on as far as it is now. Returns true if the place is still waited for. */
bool lent_place_look(struct lent_place *place);

/* Takes what the program says, which would wait for that else, until the process ends. Returns 0 or
 * a negative errno. */
int lent_place_drain(struct lent_place *place);

/* Unmounts it, after the program was told to end. */
void lent_place_end(const struct lent_place *place);
