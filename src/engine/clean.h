/* SPDX-License-Identifier: MIT */
/* Removes what should not be in a target. */
#pragma once

#include "engine/entry.h"

/*
 * Removes the directory PATH in DIRECTORY, which is in the way of another kind. Removes its
 * contents only if --delete is set and none of them is kept. A dry run only reports. Returns 0,
 * also if nothing is in the way, or why the directory stays.
 */
int clean_way(const struct copy_work *copy, const struct target *target, int directory,
              const char *path);

/* Removes the entry's name from each target that needs that. */
void clean_unwanted(const struct entry *entry);

/*
 * Removes from a target's directory PATH what an interrupted run left, and with --delete everything
 * that is not among the source's NAMES, which are sorted.
 */
void clean_directory(const struct copy_work *copy, const struct target *target, const char *path,
                     const struct names *names);
