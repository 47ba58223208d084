/* SPDX-License-Identifier: MIT */
#pragma once

#include "share/format.h"
#include "store/store.h"
#include "trust/quorum.h"

/* What the stores hold. */
struct stores_terms {
    enum share_format format;
    unsigned required; /* K, as the user gave it; 0: the stores say it */
    bool settled;      /* what a store showed once counts until the end: for commands */
    size_t left_out;   /* stores that there are, but that cannot be had: none was even named */
};

/* The stores at one time, in a fixed order. It holds them. */
struct store_list {
    size_t left_out; /* places where one may be, but that cannot be opened or do not answer */
    struct quorum quorum;
    bool counted;    /* all have been heard: the quorum stays */
    size_t unheard;  /* stores of which no sample could be taken yet */
    int why_unheard; /* the error of one of them */
    unsigned gone;   /* votes that were here before, and of which no store is here now */
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
