/* SPDX-License-Identifier: MIT */
/*
 * Which share each store holds, by a sample of its headers (store/voice.h), and what in it could
 * not be looked at.
 */
#pragma once

#include "engine/limits.h"
#include "engine/progress.h"
#include "store/stores.h"
#include "trust/mend.h"
#include "view/source.h"

enum { ROSTER_UNKNOWN = NO_VOTE };

struct roster_entry {
    struct store *store;          /* held */
    int share;                    /* its index; ROSTER_UNKNOWN: it has none, or is left */
    int voter;                    /* as it says; NO_VOTE: nothing */
    unsigned required;            /* the k that most of its headers say */
    bool empty;                   /* it holds nothing: perhaps it is not mounted */
    bool added;                   /* the user said which share it is to hold */
    bool left;                    /* nothing is to be written there, which was reported */
    atomic_uint_fast64_t missing; /* of the names that are shown */
    atomic_uint_fast64_t files;   /* that it has */
    atomic_uint_fast64_t
        alone;               /* of these, those that no other store has, or too few to be shown */
    struct limits_seen seen; /* from which follow: */
    unsigned limits;         /* of its storage: enum limit */
    atomic_int error;        /* why something in it could not be looked at; 0: all was */
};

/* The shares of one version under one name, which has not enough of them. */
struct scattered_piece;

struct roster {
    size_t left_out; /* stores that could not be opened */
    struct quorum quorum;
    atomic_uint_fast64_t believed; /* names that are shown, lost ones as well */
    size_t count;
    struct roster_entry *entries;   /* in the order of the list of stores */
    struct scattered_piece *pieces; /* by path */
    size_t piece_count, piece_room;
};

/*
 * Looks at all that is in SOURCE, which is made of stores, and counts files and bytes for PROGRESS.
 * Returns 0; -ENOMEM; -ECANCELED.
 */
int roster_make(struct source *source, unsigned jobs, struct progress *progress,
                struct roster *ret);

/* Has nothing written to the store of ENTRY; the caller says so. */
void roster_leave(struct roster_entry *entry);

/* The share that STORE holds, or ROSTER_UNKNOWN; as inspection_make wants it. */
int roster_share(const void *roster, const struct store *store);

struct mend_store roster_entry_holds(const struct roster_entry *entry);

/* Clears differences that the limits of a store's storage explain: see limits.h. */
void roster_excuse(const struct roster *roster, struct inspection *inspection);

/* Returns true if a store holds nothing, and was not meant to. */
bool roster_has_empty(const struct roster *roster);

/*
 * Returns the shares of versions that have too few under a name, or BENEATH it. Rule 7 of
 * docs/design.md keeps these where they are enough by their own k, or together with those of the
 * same version under another name, as an interrupted rename leaves them.
 */
struct scattered {
    bool alone;
    const char *other; /* that other name; NULL: there is none */
};

struct scattered roster_scattered(const struct roster *roster, const char *path, bool beneath);

void roster_clear(struct roster *roster);

#define cleanup_roster CLEANUP(roster_clear)
