/* SPDX-License-Identifier: MIT */
/*
 * Brings targets up to date with a source: encode (a target for each share), decode (one of whole
 * files) and repair (the stores themselves) are this.
 *
 * Everything is made under a temporary name and gets its own when it is written out, so that at any
 * moment a name stands for what it stood for before, or for what it should. A target that fails
 * does not keep others from being written.
 */
#pragma once

#include "engine/copy_settings.h"
#include "engine/progress.h"

/*
 * Returns 0 when all that could be done is, also after reported failures; -ENOMEM; -ECANCELED.
 * Waits for other runs that have a target. Any other error is why a target could not be had, which
 * was logged; then nothing was done.
 */
int copy_run(struct source *source, struct target targets[], size_t count,
             const struct copy_settings *settings, struct progress *progress);
