/* SPDX-License-Identifier: MIT */
/* Asks nodes what they say they are: what a new machine has to go by, and a set without a source.
 */
#pragma once

#include "cli/locked_folder.h"
#include "sync/run.h"

/* What a node says. */
struct telling {
    struct transfer transfer;
    char *text; /* of its set, in the order of its shares; NULL: it tells of none */
    bool unreadable;
};

struct asking {
    struct locked_folder folder;
    struct run run;
    int signals;
    const struct seal_terms *seal; /* of a sealed set that is asked for; NULL: of any */
};

/* Blocks the user's signals, which end the asking from now on. Returns 0 or a negative errno, which
 * was logged. End it in any case. */
int asking_begin(unsigned jobs, struct asking *ret);
void asking_end(struct asking *asking);

#define cleanup_asking CLEANUP(asking_end)

/*
 * Asks COUNT NODES, whose terms become impatient, all at once; the caller frees what they tell.
 * Returns 0 or a negative errno: -ECANCELED.
 */
int asking_nodes(struct asking *asking, struct sync_node *nodes, size_t count,
                 struct telling **ret);
void asking_free(struct telling *tellings, size_t count);

/* Returns the sections of SET, whose nodes are sorted by their shares; NULL without memory. */
char *asking_text(struct sync_set *set);

/* Shows what SET is, and what its nodes have said beside TOLD. Returns how many tell of a set. */
size_t asking_show(const struct sync_set *set, const struct telling *tellings, const char *told);
