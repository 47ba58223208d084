/* SPDX-License-Identifier: MIT */
/*
 * The command line: one table of options, which the mounts, the commands, their help and the
 * completion of shells share, and what was given.
 */
#pragma once

#include "base/names.h"
#include "view/tree_source.h"

/* What takes an option; a mount takes switches, like -f, and others behind its -o. */
enum command {
    COMMAND_MOUNT = 1,
    MOUNT_OF_SOURCE = 2, /* -o NAME, for shares of a source */
    MOUNT_OF_STORES = 4, /* -o NAME, for what is made from stores */
    COMMAND_ENCODE = 8,
    COMMAND_DECODE = 16,
    COMMAND_CHECK = 32,
    COMMAND_REPAIR = 64,
    COMMAND_INFO = 128,
    COMMAND_SYNC = 256,
    COMMAND_BENCH = 512,
    UNLISTED = 1024, /* help leaves it out */

    BEHIND_O = MOUNT_OF_SOURCE | MOUNT_OF_STORES,
};

/* A share and where it is to be, of --to and --add. */
struct place_for_share {
    uint8_t index;
    const char *path;
};

struct options {
    enum command command;
    const char *name; /* the command's; "" of a mount */
    char **words;     /* what stands for itself */
    size_t word_count;
    struct encoding encoding;
    unsigned required;       /* as it was given; 0: not given */
    struct tree_rules rules; /* of the source */
    char *source;            /* SOURCE or STORES; NULL: none */
    struct names stores;     /* of store= */
    double store_timeout;    /* seconds; below 0: not given */
    bool unconfirmed;        /* names that too few stores have are taken, too */
    bool help, version;

    /* Of a mount. */
    enum view_kind { VIEW_ENCODED, VIEW_RESTORED, VIEW_REBUILT } view;
    const struct option_row *of_source, *of_stores; /* the last that is of that alone; or NULL */
    char *mount_options;                            /* for libfuse: "a,b=c"; NULL: none */
    double attribute_timeout;                       /* seconds; below 0: not given */
    bool others_allowed;                            /* other users may look */
    bool permissions_checked;                       /* by the kernel */
    bool pages_avoided;                             /* reads go past the kernel's page cache */
    bool io_uring;                                  /* requests may come that way */
    bool foreground, debug, single;
    bool covers; /* a mount of ours at the mountpoint */

    /* Of commands. */
    bool shares[256]; /* of --shares */
    bool some_shares; /* --shares was given */
    struct place_for_share places[256];
    size_t place_count;
    unsigned jobs;
    double sample; /* the part of all blocks that check reads; 0: headers only; 1: all */
    double verify; /* the part of the files that sync looks at in the end; 0: none */
    char *report;  /* the file of check's page; NULL: none */
    char *config;  /* the file of sets; NULL: not given */
    char *log_file;
    bool quiet, verbose, json;
    bool checksum, remove, remove_most, dry_run, older, salvage;
};

struct given;

struct option_row {
    const char *name;    /* --NAME, or -o NAME with _ for each -; NULL: its letter alone */
    char letter;         /* -LETTER; 0: none */
    unsigned commands;   /* that take it */
    const char *value;   /* how help calls its value: DIR, FILE, NN=DIR, K; NULL: it takes none */
    const char *choices; /* the values that there are, "a b c"; NULL: others */
    int (*take)(const struct given *given); /* sets its field, if it has one */
    size_t field;                           /* of struct options */
    unsigned number;                        /* of a number the most; of a view, which one */
    double least;                           /* of seconds */
    const char *wants;                      /* what to give instead of a value that is none */
    const char *help;
};

/* A row without help comes behind the last. */
extern const struct option_row option_rows[];

/* How ROW is called behind -o. */
struct option_spelling {
    char text[24];
};
struct option_spelling option_spell(const struct option_row *row);

/* Adds TEXT, "name" or "name=value", to what goes on to libfuse. Returns 0 or -ENOMEM. */
int options_pass_on(struct options *options, const char *text);

/*
 * Takes the words of a command line apart, the first being the program or the command NAME.
 * Returns 0, or a negative errno after one line in the log that says what is wrong and what to do;
 * -ENOMEM for want of memory alone. Clear RET in any case.
 */
int options_parse(enum command command, const char *name, int count, char *words[],
                  struct options *ret);

void options_clear(struct options *options);

#define cleanup_options CLEANUP(options_clear)
