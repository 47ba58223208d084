/* SPDX-License-Identifier: MIT */
/*
 * Which share each store holds: the one that most of its files are of. That is found by a look at
 * the headers of all files. A store that holds none is silenced: see store.h.
 */
#pragma once

#include "tool/progress.h"
#include "tree/stores.h"
#include "view/source.h"

enum { ROSTER_UNKNOWN = -1 };

struct roster_entry {
    struct store *store; /* held */
    int share;           /* its index; ROSTER_UNKNOWN: it has none */
    uint64_t files;      /* of that share */
    int error;           /* why something in it could not be looked at; 0: all was */
};

struct roster {
    size_t left_out; /* stores that could not be opened */
    size_t count;
    struct roster_entry *entries; /* in the order of the list of stores */
};

/*
 * Looks at all that is in SOURCE, which is made of stores, and counts files and bytes for PROGRESS.
 * Returns 0; -ENOMEM; -ECANCELED.
 */
int roster_make(struct source *source, unsigned jobs, struct progress *progress,
                struct roster *ret);

/* The share that STORE holds, or ROSTER_UNKNOWN; as inspection_make wants it. */
int roster_share(const void *roster, const struct store *store);

void roster_clear(struct roster *roster);

#define cleanup_roster CLEANUP(roster_clear)
