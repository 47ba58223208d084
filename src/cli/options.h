/* SPDX-License-Identifier: MIT */
/*
 * The command line: one table of commands and one of options, shared by parsing, help and shell
 * completion; the given values; and exit statuses.
 */
#pragma once

#include "base/names.h"
#include "view/tree_source.h"

/* If several apply: lost before failed before damaged. zfec-fs(1) and the tests say the same. */
enum exit_status {
    EXIT_STATUS_OK = 0,
    EXIT_STATUS_DAMAGED = 1, /* something is damaged, but all can be restored; or it was mended */
    EXIT_STATUS_LOST = 2,    /* something cannot be restored */
    EXIT_STATUS_USAGE = 3,   /* the arguments are wrong */
    EXIT_STATUS_FAILED = 4,  /* it failed: I/O, permission, space; or it was stopped */
};

/* What takes an option. A mount takes switches, like -f, and other options after -o. */
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
    COMMAND_STATUS = 1024,
    COMMAND_RECOVER = 2048,
    COMMAND_KEY = 4096,
    UNLISTED = 8192, /* help leaves it out */

    BEHIND_O = MOUNT_OF_SOURCE | MOUNT_OF_STORES,
};

/* A share and its place, from --to and --add. */
struct place_for_share {
    uint8_t index;
    const char *path;
};

struct options {
    enum command command;
    const char *name; /* the command's; "" of a mount */
    char **words;     /* the arguments */
    size_t word_count;
    struct encoding encoding;
    unsigned required;       /* 0: not given */
    struct tree_rules rules; /* of the source */
    char *source;            /* SOURCE or STORES; NULL: none */
    struct names stores;     /* from store=, or of a set */
    char *address;           /* the set's address, SET:PATH; NULL: none was given */
    struct set_stores *set_stores;
    char *replaced;         /* the node of the set that has a new, empty place; NULL: none */
    size_t stores_left_out; /* of the set */
    double store_timeout;   /* seconds; below 0: not given */
    bool unconfirmed;       /* also take names that too few stores have */
    bool orphans;           /* also show ids that no manifest has */
    bool help, version;

    /* Of a mount. */
    enum view_kind { VIEW_ENCODED, VIEW_RESTORED, VIEW_REBUILT } view;
    char of_source[24], of_stores[24]; /* the last option that is only for that; "": none */
    char *mount_options;               /* for libfuse: "a,b=c"; NULL: none */
    double attribute_timeout;          /* seconds; below 0: not given */
    bool others_allowed;               /* other users may look */
    bool permissions_checked;          /* by the kernel */
    bool pages_avoided;                /* reads go past the kernel's page cache */
    bool io_uring;                     /* requests may come that way */
    bool foreground, debug, single;
    bool covers; /* the mount covers one of ours at the mountpoint, or what is in it */

    /* Of commands. */
    bool shares[256]; /* of --shares */
    bool some_shares; /* --shares was given */
    struct place_for_share places[256];
    size_t place_count;
    unsigned jobs;
    double sample; /* the part of all blocks that check reads; 0: headers only; 1: all */
    double verify; /* the part of the files that sync compares at the end; 0: none */
    char *report;  /* the file of check's page; NULL: none */
    char *config;  /* the file of sets; NULL: not given */
    char *metrics; /* file for what is known of sets; NULL: none */
    char *log_file;
    char *key;             /* the file of the key of sealed shares; NULL: not given */
    bool key_kept;         /* the nodes get no part of it */
    char *passphrase_file; /* of a passphrase; NULL: the terminal is asked */
    char *paper;           /* file with a key as it was printed; NULL: none */
    char *set_id;          /* of the set that is wanted, in hex; NULL: any */
    bool quiet, verbose, json;
    bool ask, due, checksum, remove, remove_most, dry_run, older, salvage, adopt, as_told;
    bool dense; /* zeros are written out */
    bool passphrase_removed;
};

struct command_row {
    const char *name; /* "": a mount; the mounts come first */
    enum command command;
    const char *words; /* how a shell completes arguments: DIR, FILE, SET; "-": not at all */
    enum exit_status (*run)(struct options *options);
    const char *summary;
    const char *forms[5]; /* of its arguments */
    const char *about;    /* for its help */
    const char *other;    /* a second name; NULL: none */
    const char *alike; /* names that other programs have for it, each between spaces; NULL: none */
};

/* Returns the command called WORD, or the mounts. */
const struct command_row *command_find(const char *word);

/* Logs that WORD is no command, and a likely correction. Returns EXIT_STATUS_USAGE. */
enum exit_status command_refuse(const char *word);

/*
 * Parses the words of a command line, of which the first is the program or the name of COMMAND.
 * Returns 0, or a negative errno after one line in the log that says what is wrong and what to do;
 * -ENOMEM only for want of memory. Clear RET in any case.
 */
int options_parse(const struct command_row *command, int count, char *words[], struct options *ret);

void options_clear(struct options *options);

/* Refuses fewer shares than are needed to restore. Returns 0, or -EINVAL, which was logged. */
int options_check_encoding(const struct options *options);

#define cleanup_options CLEANUP(options_clear)

/* Adds TEXT, "name" or "name=value", to the options for libfuse. Returns 0 or -ENOMEM. */
int options_pass_on(struct options *options, const char *text);

/* Returns the path of the file of sets, which the caller frees; NULL: no memory. */
char *options_sets_path(const struct options *options);

/* Prints the help of a command, or of the mounts. */
void help_print(const struct command_row *command);

/*
 * Prints the tables for the completion of shells: lines of four fields with tabs between them, none
 * of which is empty. Of a command: "commands", its name, what its words are, a summary. Of an
 * option: the command ("mount" for a mount's switches, "-o" for what is behind that),
 * "-k,--required", what its value is, a help. What to complete is "-" (nothing), DIR, FILE, SET,
 * NN=DIR, or one of "a b c"; any other is not known beforehand.
 */
void help_print_tables(void);

enum exit_status mount_command(struct options *options);
enum exit_status encode_command(struct options *options);
enum exit_status decode_command(struct options *options);
enum exit_status check_command(struct options *options);
enum exit_status repair_command(struct options *options);
enum exit_status info_command(struct options *options);
enum exit_status sync_command(struct options *options);
enum exit_status status_command(struct options *options);
enum exit_status recover_command(struct options *options);
enum exit_status key_command(struct options *options);
enum exit_status bench_command(struct options *options);
