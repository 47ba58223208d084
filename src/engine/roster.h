/* SPDX-License-Identifier: MIT */
/*
 * Which share each store holds, by a sample of its headers (store/voice.h), and what in it could
 * not be looked at.
 */
#pragma once

#include "engine/progress.h"
#include "engine/scattered.h"
#include "store/stores.h"
#include "view/source.h"

enum { ROSTER_UNKNOWN = NO_VOTE };

struct roster_entry {
    struct store *store; /* held */
    int share;           /* its index; ROSTER_UNKNOWN: it has none */
    bool empty;          /* it holds nothing: perhaps it is not mounted */
    bool added;          /* the user said which share it is to hold */
    bool left;           /* nothing is to be written there, and that was said */
    uint64_t missing;    /* of the names that are shown */
    uint64_t files;      /* that it has */
    uint64_t alone;      /* of these, the ones that no other store has, or too few to be shown */
    int error;           /* why something in it could not be looked at; 0: all was */
};

struct roster {
    size_t left_out; /* stores that could not be opened */
    struct quorum quorum;
    uint64_t believed; /* names that are shown, lost ones as well */
    size_t count;
    struct roster_entry *entries; /* in the order of the list of stores */
    struct scattered scattered;
};

/*
 * Looks at all that is in SOURCE, which is made of stores, and counts files and bytes for PROGRESS.
 * Returns 0; -ENOMEM; -ECANCELED.
 */
int roster_make(struct source *source, unsigned jobs, struct progress *progress,
                struct roster *ret);

/* The share that STORE holds, or ROSTER_UNKNOWN; as inspection_make wants it. */
int roster_share(const void *roster, const struct store *store);

/* Returns true if most files of a store are in no other: it looks like one of another tree. */
bool roster_entry_is_alien(const struct roster_entry *entry);

/* Returns true if a store holds nothing, and was not meant to. */
bool roster_has_empty(const struct roster *roster);

void roster_clear(struct roster *roster);

#define cleanup_roster CLEANUP(roster_clear)
