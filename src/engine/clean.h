/* SPDX-License-Identifier: MIT */
/* Takes away what should not be in a target. */
#pragma once

#include "engine/entry.h"

/*
 * Removes the directory PATH, which is in DIRECTORY, where something else is to be; all that is in
 * it only if that is wanted, and nothing of it is kept. A dry run tells what would go. Returns 0,
 * also where nothing is in the way, or why the directory stays.
 */
int clean_way(const struct copy_work *copy, const struct target *target, int directory,
              const char *path);

/* The name itself, where that is what the target needs. */
void clean_unwanted(const struct entry *entry);

/*
 * What is in a target's directory PATH and not among the source's NAMES, which are sorted: if that
 * is wanted all, and in any case what an interrupted run left.
 */
void clean_directory(const struct copy_work *copy, const struct target *target, const char *path,
                     const struct names *names);
