/* SPDX-License-Identifier: MIT */
/* Further names of a file are linked to the first, once that is what it should be. */
#pragma once

#include "tool/entry.h"

void linking_run(struct copy *copy);
