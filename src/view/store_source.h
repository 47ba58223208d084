/* SPDX-License-Identifier: MIT */
/* Stores of shares as a source: the union of their trees, with files restored from the shares. */
#pragma once

#include "restore/share_set.h"
#include "view/source.h"

/*
 * The file that SHARES give, for whoever has looked at them already: what was learned of them
 * holds. They have a version; it takes them over where it returns 0, else -ENOMEM.
 */
int store_source_file(struct source *source, struct share_set *shares, struct source_file **ret);

/* What is in STORES, which it takes over (also where it fails). */
int store_source_new(struct stores *stores, const struct share_terms *terms, struct source **ret);

/* Returns true if what the stores hold are sealed shares: their root has a manifest, or most
 * of them say so. */
bool store_source_is_sealed(struct source *source);

/* From now on a file whose shares are sealed is an error: as it is in them, nobody wants it. */
void store_source_refuse_sealed(struct source *source);

/* From now on check and repair go by what UNSEALER, which lives longer, says of sealed shares. */
void store_source_set_unsealer(struct source *source, struct unsealer *unsealer);

/*
 * From now on the root has a file `key` where k stores have theirs, which is another one in each
 * share: for the rebuilt view of SHARES, and of sealed shares. Returns 0 or -ENOMEM.
 */
int store_source_show_key(struct source *source, unsigned shares);

/* What it is made of, for whoever wants to know which store has what. */
struct stores *store_source_stores(struct source *source);
const struct share_terms *store_source_terms(const struct source *source);
