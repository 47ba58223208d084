/* SPDX-License-Identifier: MIT */
/*
 * The stores of a view: the directories below one directory, and others named one by one. Their
 * names and their order mean nothing. They may come and go while the view is in use.
 */
#pragma once

#include "base/names.h"
#include "share/format.h"
#include "store/store.h"
#include "trust/quorum.h"

/* What the stores hold. */
struct stores_terms {
    enum share_format format;
    unsigned required; /* K, as the user gave it; 0: the stores say it */
    bool settled;      /* what a store showed once counts until the end: for commands */
};

/* The stores at one time, in a fixed order. It holds them. */
struct store_list {
    size_t left_out; /* places where one may be, but that cannot be opened or do not answer */
    struct quorum quorum;
    bool counted;    /* all have been heard: the quorum stays */
    size_t unheard;  /* stores of which no sample could be taken yet */
    int why_unheard; /* the error of one of them */
    uint64_t number; /* of the look that found them */
    size_t count;
    struct store *stores[];
};

void store_list_free(struct store_list *list);

/* The vote of store number PLACE of the list; below 0: it has none. */
int store_list_voter(const struct store_list *list, size_t place);

/* Returns true if store number PLACE was heard, and holds nothing that a store is for (rule 2). */
bool store_list_is_empty(const struct store_list *list, size_t place);

/* From when on an answer of one of these stores is late (see round_wait). */
uint64_t store_list_patience(const struct store_list *list);

DEFINE_CLEANUP(struct store_list *, store_list_free)
#define cleanup_store_list CLEANUP(cleanup_by_store_list_free)

struct stores;

/*
 * The sub-directories of DIRECTORY (NULL: none; symlinks to directories count, the user made them),
 * then those in OTHERS, both sorted by name. Usual leftovers and lost+found are no stores. What
 * cannot be opened below DIRECTORY, or does not answer in time, is logged and left out; DIRECTORY
 * itself, or one of OTHERS that is not there, is logged and the error.
 */
int stores_open(const char *directory, const struct names *others, const struct stores_terms *terms,
                struct stores **ret);

void stores_close(struct stores *stores);

/* Looks for stores at PATHS as well. To be called before anything is asked of the stores. */
int stores_add(struct stores *stores, const struct names *paths);

/* Adds the absolute paths, without symlinks, of the stores that are there. Asks none of them. */
int stores_real_paths(struct stores *stores, struct names *paths);

/*
 * The stores that are there now, as of a look a second ago at most; the caller frees the list. The
 * first time that a store is there, a sample of it is taken; one that is slow is not waited for
 * where K is clear without it.
 */
int stores_now(struct stores *stores, struct store_list **ret);

/* How many stores there are, as far as is known without asking them. */
size_t stores_count(struct stores *stores);

DEFINE_CLEANUP(struct stores *, stores_close)
#define cleanup_stores CLEANUP(cleanup_by_stores_close)
