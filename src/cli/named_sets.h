/* SPDX-License-Identifier: MIT */
#pragma once

#include "cli/options.h"
#include "sync/sets.h"

/* The file of sets that a command line means, and what is in it; see sets_read. */
int sets_named(const struct options *options, char **ret_path, struct sets *ret);
