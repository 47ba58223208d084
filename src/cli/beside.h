/* SPDX-License-Identifier: MIT */
/* What a command writes beside its results: its messages, and check's page. */
#pragma once

#include "cli/options.h"

/*
 * Checks, before anything is made, that no such file is in a store, nor elsewhere in what the
 * command reads or writes: it would take the place of a share, or be a name among them. Returns 0,
 * or a negative errno, which was logged; -EINVAL for such a file.
 */
int beside_check(const struct options *options);
