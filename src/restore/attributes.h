/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes, access control lists among them, as most of the stores have them that hold
 * what a name shows (rule 3 of docs/design.md).
 */
#pragma once

#include "restore/survey.h"

/*
 * All that a copy of PATH should have. -ENOENT where no store has it, or it is not believed; or the
 * error of a store that could not say. Clear RET in any case.
 */
int attributes_read(struct stores *stores, const struct share_terms *terms, const char *path,
                    struct xattrs *ret);

/* As tree_get_xattr and tree_list_xattr (tree.h), but of all stores. */
int attributes_get(struct stores *stores, const struct share_terms *terms, const char *path,
                   const char *name, void *value, size_t size, size_t *ret);
int attributes_list(struct stores *stores, const struct share_terms *terms, const char *path,
                    char *names, size_t size, size_t *ret);

/*
 * Sets DIFFERS for each store of LIST that has PATH with other attributes than it should have, or
 * could not say. Returns 0 or a negative errno.
 */
int attributes_compare(struct stores *stores, const struct share_terms *terms, const char *path,
                       const struct store_list *list, bool differs[]);
