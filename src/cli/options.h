/* SPDX-License-Identifier: MIT */
/* One option of -o. */
#pragma once

#include "cli/arguments.h"

/*
 * Takes TEXT, "name" or "name=value", into ARGUMENTS. Returns 0, or a negative errno after one
 * line in the log.
 */
int option_take(struct arguments *arguments, const char *text);
