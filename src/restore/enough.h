/* SPDX-License-Identifier: MIT */
/*
 * Decides when the answers of some stores are enough: when no answer of the missing ones could
 * change the outcome. Then slow stores are not waited for.
 */
#pragma once

#include "store/inquiry.h"

/*
 * Looks at a name, by the struct share_terms CONTEXT: more than half of all agree on what it is,
 * and of a file the version is settled. If none has it, fewer than K are missing.
 */
bool enough_looks(const struct inquiry *looks, const void *context);

/* More stores have answered than have not: for what need not be exact. CONTEXT is not used. */
bool enough_most(const struct inquiry *inquiry, const void *context);

/*
 * Listings, which are put together: a name that K stores have is in one of those at hand. The few
 * are missing that fewer than K have, when only slow ones do. CONTEXT is not used.
 */
bool enough_lists(const struct inquiry *lists, const void *context);
