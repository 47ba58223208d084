/* SPDX-License-Identifier: MIT */
/*
 * Finds out by block digests which copies belong to a version although their headers do not say so
 * (rules 4 and 5 of docs/design.md). It reads all blocks of up to 4096 stripes.
 */
#pragma once

#include "restore/reading.h"

/*
 * Sets BOUND for each copy without a header whose blocks agree with the version's members, never
 * contradict them, and do not match another version at hand as well. Once for a file. Returns 0 or
 * a shortage.
 */
int binding_run(struct share_set *set);

/*
 * Finds out which copies share a digest with a member of the version: until these and the members
 * have the shares that it needs or, with ALL, in all stripes. Returns how many shares they have, or
 * a shortage.
 */
int binding_count(struct share_set *set, unsigned mode, bool all);
