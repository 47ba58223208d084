/* SPDX-License-Identifier: MIT */
/*
 * What a place that a command is to write to holds already, by a sample of its files. What is
 * refused has been logged; nothing is written.
 */
#pragma once

#include "cli/options.h"

/*
 * Checks that PLACE, which the user calls PATH, may hold share INDEX: it does not exist, or has no
 * files, or at least half of those that a sample shows are of that share. Returns 0; -EINVAL where
 * it may not; or another negative errno where it could not be looked at.
 */
int holding_check_share(const struct options *options, const char *path, const char *place,
                        uint8_t index);

/* Returns true if most files of PATH, not of directories in it, are shares with checks, and tells
 * of which share. */
bool holding_has_share(const char *path, uint8_t *ret);

/* Checks that PLACE, for whole files, is no store. Returns 0 or -EINVAL. */
int holding_check_whole(const char *path, const char *place);
