/* SPDX-License-Identifier: MIT */
/* The sources that a command line names. What fails has been logged. */
#pragma once

#include "cli/arguments.h"
#include "view/store_source.h"

/* The tree at the argument SOURCE. */
int source_of_tree(struct arguments *arguments, struct source **ret);

/* What is in STORES and in all that store= names. */
int source_of_stores(const struct arguments *arguments, struct source **ret);

/* The same for commands, which cannot wait for stores to come: -ENOENT where there are none now. */
int source_of_stores_now(const struct arguments *arguments, struct source **ret);
