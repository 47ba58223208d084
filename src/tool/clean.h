/* SPDX-License-Identifier: MIT */
/* Takes away what should not be in a target. */
#pragma once

#include "tool/entry.h"

/* The name itself, where that is what the target needs. */
void clean_unwanted(const struct entry *entry);

/*
 * What is in a target's directory PATH and not among the source's NAMES, which are sorted: if that
 * is wanted all, and in any case what an interrupted run left.
 */
void clean_directory(const struct copy *copy, const struct target *target, const char *path,
                     const struct names *names);
