/* SPDX-License-Identifier: MIT */
#pragma once

#include "restore/copies.h"

/* Says between which versions of a file, or contents of a stripe, there is a conflict, and which
 * stores have them; the caller frees it. NULL without memory. */
char *conflict_describe(struct share_set *set);
