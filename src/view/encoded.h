/* SPDX-License-Identifier: MIT */
/*
 * The encoded view: a directory for each share, "00", "01", ... in two lower-case hex digits, and
 * in each the source's tree with every regular file replaced by its share. Over stores instead of
 * a source tree it is the rebuilt view: the same shares again, lost ones too.
 */
#pragma once

#include "view/source.h"
#include "view/view.h"

/* The view of SHARES (1..256) shares of SOURCE, which it takes over (also where it fails). */
int encoded_view_new(struct source *source, unsigned shares, struct view **ret);
