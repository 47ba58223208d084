/* SPDX-License-Identifier: MIT */
/* The stores: trees of shares, one beside the other. Their names and their order mean nothing. */
#pragma once

#include "base/names.h"
#include "tree/tree.h"

struct stores {
    size_t count;
    struct tree *trees[];
};

/*
 * The sub-directories of DIRECTORY (NULL: none; symlinks to directories count, the user made
 * them), sorted by name, and then the directories in OTHERS. What cannot be opened below
 * DIRECTORY is logged and left out; one of OTHERS that cannot be opened is logged and the error.
 */
int stores_open(const char *directory, const struct names *others, struct stores **ret);

void stores_close(struct stores *stores);

DEFINE_CLEANUP(struct stores *, stores_close)
#define cleanup_stores CLEANUP(cleanup_by_stores_close)
