/* SPDX-License-Identifier: MIT */
/* The commands, and the mounts, which are the first of them and have no name. */
#pragma once

#include "cli/exit_status.h"
#include "cli/options.h"

struct command_row {
    const char *name; /* "": the mounts */
    enum command command;
    const char *words; /* how a shell completes what stands for itself: DIR, FILE, SET; "-": not */
    enum exit_status (*run)(struct options *options);
    const char *summary;
    const char *forms[3]; /* of its arguments */
    const char *about;    /* for its help */
};

enum { COMMAND_COUNT = 8 };
extern const struct command_row command_rows[COMMAND_COUNT];

/* Returns the command that WORD is the name of, or the mounts. */
const struct command_row *command_find(const char *word);

/*
 * What the program says of itself. Each returns 0, or a negative errno, which has been logged,
 * where standard output does not take it.
 */

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

enum exit_status mount_command(struct options *options);
enum exit_status encode_command(struct options *options);
enum exit_status decode_command(struct options *options);
enum exit_status check_command(struct options *options);
enum exit_status repair_command(struct options *options);
enum exit_status info_command(struct options *options);
enum exit_status sync_command(struct options *options);
enum exit_status bench_command(struct options *options);
