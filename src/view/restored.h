/* SPDX-License-Identifier: MIT */
/* The restored view: the union of the stores' trees, with every share replaced by its file. */
#pragma once

#include "view/share_set.h"
#include "view/view.h"

/* The view of what is in STORES, which it takes over (also where it fails). */
int restored_view_new(struct stores *stores, const struct share_terms *terms, struct view **ret);
