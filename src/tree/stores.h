/* SPDX-License-Identifier: MIT */
/*
 * The stores of a view: the directories below one directory, and others named one by one. Their
 * names and their order mean nothing. They may come and go while the view is in use.
 */
#pragma once

#include "base/names.h"
#include "tree/store.h"

#include <stddef.h>

struct stores;

/* The stores at one time, in a fixed order. It holds them. */
struct store_list {
    size_t left_out; /* places where one may be, but that cannot be opened or do not answer */
    size_t count;
    struct store *stores[];
};

/*
 * The sub-directories of DIRECTORY (NULL: none; symlinks to directories count, the user made
 * them), sorted by name, and then the directories in OTHERS, sorted too. What cannot be opened
 * below DIRECTORY, or does not answer in time, is logged and left out; DIRECTORY itself, or one of
 * OTHERS that is not there, is logged and the error.
 */
int stores_open(const char *directory, const struct names *others, struct stores **ret);

void stores_close(struct stores *stores);

/*
 * The stores that are there now: what is below DIRECTORY, and where the paths of OTHERS lead, is
 * looked at again when that was done more than a second ago. To be released by the caller.
 */
int stores_now(struct stores *stores, struct store_list **ret);

void store_list_free(struct store_list *list);

/* From when on an answer of one of these stores is late (see round_wait). */
uint64_t store_list_patience(const struct store_list *list);

DEFINE_CLEANUP(struct stores *, stores_close)
DEFINE_CLEANUP(struct store_list *, store_list_free)
#define cleanup_stores     CLEANUP(cleanup_by_stores_close)
#define cleanup_store_list CLEANUP(cleanup_by_store_list_free)
