/* SPDX-License-Identifier: MIT */
/*
 * The command line: one table of commands and one of options, which parsing, help and the
 * completion of shells share; what was given; and how the program ends.
 */
#pragma once

#include "base/names.h"
#include "view/tree_source.h"

/*
 * Where several hold: lost before failed before damaged. zfec-fs(1) and the tests say the same.
 */
enum exit_status {
    EXIT_STATUS_OK = 0,
    EXIT_STATUS_DAMAGED = 1, /* something is damaged, and all can be restored; or it was mended */
    EXIT_STATUS_LOST = 2,    /* something cannot be restored */
    EXIT_STATUS_USAGE = 3,   /* the arguments make no sense */
    EXIT_STATUS_FAILED = 4,  /* it could not be done: I/O, permission, space; or it was stopped */
};

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
    COMMAND_STATUS = 1024,
    COMMAND_RECOVER = 2048,
    COMMAND_KEY = 4096,
    UNLISTED = 8192, /* help leaves it out */

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
    struct names stores;     /* of store=, or of a set */
    char *address;           /* of that, SET:PATH; NULL: none was given */
    struct set_stores *set_stores;
    char *replaced;         /* the node of it that has a new, empty place; NULL: none */
    size_t stores_left_out; /* that the set has */
    double store_timeout;   /* seconds; below 0: not given */
    bool unconfirmed;       /* names that too few stores have are taken, too */
    bool orphans;           /* ids that no manifest has are shown, too */
    bool help, version;

    /* Of a mount. */
    enum view_kind { VIEW_ENCODED, VIEW_RESTORED, VIEW_REBUILT } view;
    char of_source[24], of_stores[24]; /* the last option that is of that alone; "": none */
    char *mount_options;               /* for libfuse: "a,b=c"; NULL: none */
    double attribute_timeout;          /* seconds; below 0: not given */
    bool others_allowed;               /* other users may look */
    bool permissions_checked;          /* by the kernel */
    bool pages_avoided;                /* reads go past the kernel's page cache */
    bool io_uring;                     /* requests may come that way */
    bool foreground, debug, single;
    bool covers; /* a mount of ours at the mountpoint, or what is in it */

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
    char *metrics; /* a file for what is known of sets; NULL: none */
    char *log_file;
    char *key;             /* the file of the key of sealed shares; NULL: not given */
    bool key_kept;         /* nodes get nothing of it */
    char *passphrase_file; /* of a passphrase; NULL: the terminal is asked */
    char *paper;           /* a file with what was printed of a key; NULL: none */
    char *set_id;          /* of the set that is meant, in hex; NULL: any */
    bool quiet, verbose, json;
    bool ask, due, checksum, remove, remove_most, dry_run, older, salvage, adopt, as_told;
    bool passphrase_removed;
};

struct command_row {
    const char *name; /* "": the mounts, which are the first of them */
    enum command command;
    const char *words; /* how a shell completes what stands for itself: DIR, FILE, SET; "-": not */
    enum exit_status (*run)(struct options *options);
    const char *summary;
    const char *forms[5]; /* of its arguments */
    const char *about;    /* for its help */
    const char *other;    /* a second name; NULL: none */
    const char *alike;    /* what others call it, with a space around each word; NULL: none */
};

/* Returns the command that WORD is the name of, or the mounts. */
const struct command_row *command_find(const char *word);

/* Says that WORD is no command, and which one it may be meant for. Returns EXIT_STATUS_USAGE. */
enum exit_status command_refuse(const char *word);

/*
 * Takes the words of a command line apart, the first being the program or the name of COMMAND.
 * Returns 0, or a negative errno after one line in the log that says what is wrong and what to do;
 * -ENOMEM for want of memory alone. Clear RET in any case.
 */
int options_parse(const struct command_row *command, int count, char *words[], struct options *ret);

void options_clear(struct options *options);

/* Refuses fewer shares than are enough to restore. Returns 0, or -EINVAL, which was logged. */
int options_check_encoding(const struct options *options);

#define cleanup_options CLEANUP(options_clear)

/* Adds TEXT, "name" or "name=value", to what goes on to libfuse. Returns 0 or -ENOMEM. */
int options_pass_on(struct options *options, const char *text);

/* Returns the path of the file of sets, which the caller frees; NULL without memory. */
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
