/* SPDX-License-Identifier: MIT */
/* Stores of shares as a source: the union of their trees, with files restored from the shares. */
#pragma once

#include "view/copies.h"
#include "view/source.h"

/* What is in STORES, which it takes over (also where it fails). */
int store_source_new(struct stores *stores, const struct share_terms *terms, struct source **ret);

/* What it is made of, for whoever wants to know which store has what. */
struct stores *store_source_stores(struct source *source);
const struct share_terms *store_source_terms(const struct source *source);
