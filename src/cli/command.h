/* SPDX-License-Identifier: MIT */
/* The program, from its command line to its exit status. */
#pragma once

enum {
    EXIT_STATUS_OK = 0,
    EXIT_STATUS_USAGE = 1, /* wrong arguments, or the mount did not come about */
};

int command_run(int count, char *arguments[]);
