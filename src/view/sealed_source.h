/* SPDX-License-Identifier: MIT */
/*
 * Shows a tree of files as its sealed shares: ids in place of names, files in sealed stripes, and a
 * manifest in each directory. docs/format.md, "Sealed shares".
 */
#pragma once

#include "seal/key_file.h"
#include "view/tree_source.h"

/*
 * Takes TREE, whose encoding is ENCODING, and KEY over, also if it fails. SHARED: each share has a
 * file `key`, the part of the key for its node. Returns 0, -ENOMEM, -EIO, or as key_share_make.
 */
int sealed_source_new(struct source *tree, const struct encoding *encoding, struct master_key *key,
                      bool shared, struct source **ret);
