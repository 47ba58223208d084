/* SPDX-License-Identifier: MIT */
/* Asks nodes for their descriptions: for a new machine, and for a set without a source. */
#pragma once

#include "cli/locked_folder.h"
#include "sync/run.h"

/* A node's answer. */
struct telling {
    struct transfer transfer;
    char *text; /* its set's sections, sorted by share; NULL: it has no description */
    bool unreadable;
};

struct asking {
    struct locked_folder folder;
    struct run run;
    int signals;
    const struct seal_terms *seal; /* of the sealed set that is asked for; NULL: any set */
};

/* Blocks the user's signals, which from now on end the asking. Returns 0 or a negative errno, which
 * was logged. End it in any case. */
int asking_begin(unsigned jobs, struct asking *ret);
void asking_end(struct asking *asking);

#define cleanup_asking CLEANUP(asking_end)

/*
 * Asks COUNT NODES at once, with impatient terms; the caller frees the answers. Returns 0 or a
 * negative errno: -ECANCELED.
 */
int asking_nodes(struct asking *asking, struct sync_node *nodes, size_t count,
                 struct telling **ret);
void asking_free(struct telling *tellings, size_t count);

/* Returns the sections of SET, whose nodes are sorted by share; NULL: no memory. */
char *asking_text(struct sync_set *set);

/* Shows SET, and the nodes' answers that differ from TOLD. Returns how many describe a set. */
size_t asking_show(const struct sync_set *set, const struct telling *tellings, const char *told);
