/* SPDX-License-Identifier: MIT */
/*
 * Names for what is still being made: it gets its real name by rename(2) when it is whole. An
 * interrupted run leaves such a name behind; the next one removes it.
 */
#pragma once

#include "trust/leftover.h"

#include <stdbool.h>
#include <sys/types.h>

enum { TEMPORARY_NAME_SIZE = sizeof LEFTOVER_PREFIX + 16 };

/* A name that nothing has yet. */
void temporary_name(char ret[TEMPORARY_NAME_SIZE]);

/* Returns true if NAME is one of these. */
bool temporary_is_name(const char *name);

/* An empty file in DIRECTORY for its owner alone, open for reading and writing. */
int temporary_file(int directory, char ret_name[TEMPORARY_NAME_SIZE], int *ret_fd);
