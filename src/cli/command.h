/* SPDX-License-Identifier: MIT */
/* The program, from its command line to its exit status. */
#pragma once

#include "cli/exit_status.h"

int command_run(int count, char *arguments[]);
