/* SPDX-License-Identifier: MIT */
/* What --help and --version print. */
#pragma once

#include "cli/work.h"

/* Of a command, or (0) of the whole program. Return 0, or a negative errno where standard output
 * takes it not. */
int help_print(enum command command);
int version_print(const char *library_version);
