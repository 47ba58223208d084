/* SPDX-License-Identifier: MIT */
/* Further names of a file are linked to the first, once that is what it should be. */
#pragma once

#include "engine/entry.h"

/* Returns 0 or -ENOMEM; other failures are reported. */
int linking_run(struct copy_work *copy);
