/* SPDX-License-Identifier: MIT */
/* Extended attributes, access control lists among them, as most stores have them. */
#pragma once

#include "tree/stores.h"

#include <stdbool.h>

/*
 * As tree_get_xattr and tree_list_xattr (tree.h), but of all stores. The answer that most of them
 * give counts, the first store's among equals; that there is none is an answer, too. -ENOENT where
 * no store has PATH, or, where a store could not say, its error.
 */
int attributes_get(struct stores *stores, const char *path, const char *name, void *value,
                   size_t size, size_t *ret);
int attributes_list(struct stores *stores, const char *path, char *names, size_t size, size_t *ret);

/*
 * All that a copy of PATH should have, too. Where no store has it -ENOENT, or an error of one that
 * could not say. Clear RET in any case.
 */
int attributes_read(struct stores *stores, const char *path, struct xattrs *ret);

/*
 * Sets DIFFERS for each store of LIST that has PATH with other attributes than most, or could not
 * say. Returns 0 or a negative errno.
 */
int attributes_compare(struct stores *stores, const char *path, const struct store_list *list,
                       bool differs[]);
