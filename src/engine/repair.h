/* SPDX-License-Identifier: MIT */
/*
 * Brings stores to the newest version that can be restored: what check finds wrong in a store is
 * made anew from the others, by copy_run. A name is touched only where it can be restored whole.
 */
#pragma once

#include "engine/check.h"
#include "engine/copy.h"

struct repair_settings {
    struct check_settings check; /* what was found, before anything is done */
    struct copy_settings copy;   /* its choose and context are repair's */
    atomic_uint *refused;        /* names that were not removed, for a reported reason */
    atomic_uint *kept;           /* copies that stay as they are, for a reported reason */
    atomic_uint *lost;           /* names that cannot be restored, and were not removed */
    atomic_uint *unverified;     /* files made from sealed stripes that nothing proves */
    atomic_uint *unconfirmed;    /* names that too few stores have, and that were not removed */
    /*
     * Called for all that a store needs, instead of writing there; NULL: it is written. TARGET's
     * name and tree are the store's; SEEN is what PATH was before it was judged. Any thread may
     * call it. The context is COPY's, which is to be a dry run.
     */
    void (*hand_over)(void *context, const char *path, const struct target *target, enum need need,
                      const struct seen *seen);
};

/* Returns as copy_run does. SOURCE and ROSTER as for check_run. */
int repair_run(struct source *source, const struct roster *roster,
               const struct repair_settings *settings, struct progress *progress);
