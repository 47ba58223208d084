/* SPDX-License-Identifier: MIT */
/*
 * Finds the extended attributes of a name, access control lists among them: as most of the stores
 * have them that hold what the name shows (rule 3 of docs/design.md).
 */
#pragma once

#include "restore/survey.h"

/*
 * Reads the attributes that a copy of PATH should have: all, or NAME alone. ALL_STORES: waits for
 * all stores, otherwise for as many as it takes. Returns 0; -ENOENT where no store has PATH, or it
 * is not believed; or the error of a store that could not say. Clear RET in any case.
 */
int attributes_read(const struct share_terms *terms, const char *path, const char *name,
                    bool all_stores, struct xattrs *ret);

/* How a store's attributes compare with those that it should have. */
enum attributes_state {
    ATTRIBUTES_RIGHT,
    ATTRIBUTES_DIFFER,
    ATTRIBUTES_UNREAD,     /* the store could not say */
    ATTRIBUTES_IMPOSSIBLE, /* its storage keeps none */
};

/* Sets RET for each store of LIST that has PATH. Returns 0 or a negative errno. */
int attributes_compare(const struct share_terms *terms, const char *path,
                       const struct store_list *list, enum attributes_state ret[]);
