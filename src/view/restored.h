/* SPDX-License-Identifier: MIT */
/* The restored view: the source's tree as it is, its files with it. */
#pragma once

#include "view/source.h"
#include "view/view.h"

/* The view of SOURCE, which it takes over (also where it fails). */
int restored_view_new(struct source *source, struct view **ret);
