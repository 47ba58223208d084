/* SPDX-License-Identifier: MIT */
/* The command line of the commands. */
#pragma once

#include "cli/arguments.h"

enum command {
    COMMAND_ENCODE = 1,
    COMMAND_DECODE = 2,
    COMMAND_CHECK = 4,
    COMMAND_REPAIR = 8,
    COMMAND_INFO = 16,
    COMMAND_SYNC = 32,
};

/* A share and where it is to be, of --to and --add. */
struct place_for_share {
    uint8_t index;
    const char *path;
};

struct work {
    enum command command;
    const char *name;           /* the command's */
    struct arguments arguments; /* what the mounts take as well: encoding, excludes, stores */
    bool shares[256];           /* of --shares */
    bool some_shares;           /* --shares was given */
    struct place_for_share places[256];
    size_t place_count;
    char **words; /* what stands for itself */
    size_t word_count;
    unsigned jobs;
    double sample;      /* the part of all blocks that check reads; 0: headers only; 1: all */
    double verify;      /* the part of the files that sync looks at in the end; 0: none */
    const char *config; /* the file of sets; NULL: not given */
    const char *log_file;
    bool quiet, verbose, json, help;
    bool checksum, remove, dry_run, older, salvage;
};

/* Whether WORD is a command's name; 0 where it is not. */
enum command work_command(const char *word);

/*
 * Takes the words of a command line apart, the first being the command. Returns 0, or -EINVAL or
 * -ENOMEM after one line in the log. Clear RET in any case.
 */
int work_parse(int count, char *words[], struct work *ret);

void work_clear(struct work *work);

#define cleanup_work CLEANUP(work_clear)
