/* SPDX-License-Identifier: MIT */
/* The restored view: the source's tree as it is, its files with it. */
#pragma once

#include "view/source.h"
#include "view/view.h"

/*
 * The view of SOURCE, which it takes over (also where it fails). FOR_OTHERS: others than the user
 * of this process may look, so that the root is closed to them where the way to the source is.
 */
int restored_view_new(struct source *source, bool for_others, struct view **ret);
