/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Removes what has the name NAME in DIRECTORY, a directory with all that is in it; no symlink is
 * followed. Returns 0, also where nothing has that name, or a negative errno.
 */
int remove_all(int directory, const char *name);
