/* SPDX-License-Identifier: MIT */
/* Stores of shares as a source: the union of their trees, with files restored from the shares. */
#pragma once

#include "restore/share_set.h"
#include "view/source.h"

/*
 * Makes the file of SHARES, for a caller that has inspected them: what was learned of them holds.
 * They must have a version. Takes them over if it returns 0, else -ENOMEM.
 */
int store_source_file(struct source *source, struct share_set *shares, struct source_file **ret);

/* Makes the source of what is in STORES, which it takes over (also if it fails). */
int store_source_new(struct stores *stores, const struct share_terms *terms, struct source **ret);

/* Returns true if what the stores hold are sealed shares: their root has a manifest, or most
 * of them say so. */
bool store_source_is_sealed(struct source *source);

/* Makes files of sealed shares errors from now on: nobody can use their encrypted content. */
void store_source_refuse_sealed(struct source *source);

/* Has check and repair use what UNSEALER, which must live longer, says of sealed shares. */
void store_source_set_unsealer(struct source *source, struct unsealer *unsealer);

/*
 * Adds a file `key` to the root if k stores have theirs; it differs from share to share. For the
 * rebuilt view of SHARES and of sealed shares. Returns 0 or -ENOMEM.
 */
int store_source_show_key(struct source *source, unsigned shares);

/* Returns its stores, for callers that need to know which store has what. */
struct stores *store_source_stores(struct source *source);
const struct share_terms *store_source_terms(const struct source *source);
