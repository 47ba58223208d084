/* SPDX-License-Identifier: MIT */
/*
 * Brings targets up to date with a source, for encode (a target for each share), decode (one target
 * of whole files) and repair (the stores themselves).  Everything is made under a temporary name
 * and gets its own name when it is written out. So at any moment a name stands for what it stood
 * for before, or for what it should. A target that fails does not keep others from being written.
 */
#pragma once

#include "engine/copy_settings.h"
#include "engine/progress.h"

/*
 * Returns 0 when all that can be done is done, also after reported failures; -ENOMEM; -ECANCELED.
 * Waits for other runs that have a target. Any other error says why a target could not be had; then
 * it was logged, and nothing was done.
 */
int copy_run(struct source *source, struct target targets[], size_t count,
             const struct copy_settings *settings, struct progress *progress);
