/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes, access control lists among them, as most of the stores have them that hold
 * what a name shows (rule 3 of docs/design.md).
 */
#pragma once

#include "restore/survey.h"

/*
 * What a copy of PATH should have: all, or NAME alone. ALL_STORES: all are waited for; otherwise as
 * many as it takes. -ENOENT where no store has PATH, or it is not believed; or the error of a store
 * that could not say. Clear RET in any case.
 */
int attributes_read(const struct share_terms *terms, const char *path, const char *name,
                    bool all_stores, struct xattrs *ret);

/* How what a store has of the attributes compares with what it should have. */
enum attributes_state {
    ATTRIBUTES_RIGHT,
    ATTRIBUTES_DIFFER,
    ATTRIBUTES_UNREAD,     /* the store could not say */
    ATTRIBUTES_IMPOSSIBLE, /* its storage keeps none */
};

/* Sets RET for each store of LIST that has PATH. Returns 0 or a negative errno. */
int attributes_compare(const struct share_terms *terms, const char *path,
                       const struct store_list *list, enum attributes_state ret[]);
