/* SPDX-License-Identifier: MIT */
/*
 * Stores of sealed shares as a source of plain files: names and attributes come from manifests,
 * content from stripes that are verified by their tags. docs/format.md, "Sealed shares".
 */
#pragma once

#include "view/opened_place.h"

/* Takes STORES (store_source.h) and KEYS over, also if it fails. Returns 0 or -ENOMEM. */
int opened_source_new(struct source *stores, struct seal_keys *keys,
                      const struct opened_terms *terms, struct source **ret);
