/* SPDX-License-Identifier: MIT */
/*
 * The place where a node's share can be read: a directory of this machine, or a mount that lasts as
 * long as the run. Separate programs mount it and look at it, since a file system may hang.
 */
#pragma once

#include "cli/locked_folder.h"
#include "sync/child.h"
#include "sync/sets.h"

/* A node and the place of its share; or the rebuilt view, which has no node. */
struct lent_place {
    const struct sync_node *node;
    char *mountpoint;              /* NULL: PATH is a directory of this machine */
    const char *root, *beneath;    /* the share's root; the part of it that is wanted, "": all */
    char *path;                    /* of the store */
    int fd;                        /* open at PATH, if BENEATH is not "" */
    struct child mounting, asking; /* stat, so that a file system that hangs holds up nothing */
    unsigned awaited;              /* answers still expected from ASKING */
    dev_t other_device;            /* of the directory before the mount; 0: none */
    enum {
        PLACE_NONE,
        PLACE_UNFETCHED, /* it may be fetched if it is needed */
        PLACE_MOUNTS,
        PLACE_ANSWERS,
        PLACE_READY,
        PLACE_FAILED
    } state;
    char *copy;               /* of the share, if it was fetched */
    char reason[REASON_SIZE]; /* why it failed: the first line of a program's output */
};

/* Returns how many seconds mounting a node (NULL: the view) may take. */
unsigned lent_place_limit(const struct sync_node *node);

/* Marks the place as failed. An earlier REASON is kept. */
void lent_place_fail(struct lent_place *place, const char *reason);

/* Makes a directory NAME in FOLDER to mount it at. Returns 0 or a negative errno, logged. */
int lent_place_make(struct lent_place *place, const struct locked_folder *folder, const char *name);

/* Starts mounting the place, by WORDS, which are cleared, or by those of its node. Returns 0 or a
 * negative errno. */
int lent_place_start(struct lent_place *place, struct words *words);
int lent_place_mount(struct lent_place *place);

/* Asks whether the store is there. */
void lent_place_ask(struct lent_place *place);

/* Moves on as far as possible without waiting. Returns true if the place is still awaited. */
bool lent_place_look(struct lent_place *place);

/* Reads the program's output until the process ends, since the program would otherwise block.
 * Returns 0 or a negative errno. */
int lent_place_drain(struct lent_place *place);

/* Unmounts the place after its program was told to end. */
void lent_place_end(const struct lent_place *place);
