/* SPDX-License-Identifier: MIT */
/*
 * Decides when the answers of some stores are enough: when no answer of the missing ones could
 * change the outcome. Then slow stores are not waited for.
 */
#pragma once

#include "store/inquiry.h"

/*
 * For looks at a name, by the struct share_terms CONTEXT: more than half of all stores agree on
 * what it is, and the version of a file is settled. If no store has it, fewer than K answers are
 * missing.
 */
bool enough_looks(const struct inquiry *looks, const void *context);

/* For what need not be exact: more than half of the stores have answered. CONTEXT is not used. */
bool enough_most(const struct inquiry *inquiry, const void *context);

/*
 * For listings, which are merged: each name that K stores have is in one of those at hand. Names
 * that only slow stores have, fewer than K of them, are missing. CONTEXT is not used.
 */
bool enough_lists(const struct inquiry *lists, const void *context);
