/* SPDX-License-Identifier: MIT */
/*
 * The voices of all stores, those that went included, and the K that they make (rules 1 and 2 of
 * docs/design.md).
 */
#pragma once

#include "store/list.h"

struct census;

int census_new(const struct stores_terms *terms, struct census **ret);

/* Samples under way keep what they need. */
void census_free(struct census *census);

/*
 * Hears the stores of LIST that were not heard yet, or had nothing to say, and sets its quorum.
 * Local stores are sampled by the caller, and by as many threads as there are processors. A store
 * that is not local is heard by a thread of its own; it is waited for as long as stores have
 * to answer, or until the others are clear. Returns 0 or a negative errno: a shortage of our own.
 */
int census_take(struct census *census, struct store_list *list);
