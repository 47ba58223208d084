/* SPDX-License-Identifier: MIT */
/*
 * What the program says of itself, from the tables of commands and options. Each returns 0, or a
 * negative errno, which has been logged, where standard output does not take it.
 */
#pragma once

#include "cli/commands.h"

/* --help of a command, or of the mounts. */
int help_print(const struct command_row *command);

/*
 * Prints the tables for the completion of shells: lines of four fields with tabs between them, none
 * of which is empty. Of a command: "commands", its name, what its words are, a summary. Of an
 * option: the command ("mount" for a mount's switches, "-o" for what is behind that),
 * "-k,--required", what its value is, a help. What to complete is "-" (nothing), DIR, FILE, SET,
 * NN=DIR, or one of "a b c"; any other is not known beforehand.
 */
int help_print_tables(void);

int version_print(const char *library_version);
