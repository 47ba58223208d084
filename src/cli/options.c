/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include "base/array.h"
#include "base/log.h"
#include "base/number.h"
#include "base/thread.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { JOBS_MAX = 256, LONGEST_S = 24 * 60 * 60 };

/* An option as it was given. */
struct given {
    struct options *options;
    const struct option_row *row;
    const char *text;  /* the whole option: "shares=3", "--count 3" */
    const char *value; /* NULL: none */
    void *field;       /* the row's */
};

struct option_row {
    const char *name;    /* --NAME, or -o NAME with _ in place of -; NULL: it has only a letter */
    char letter;         /* -LETTER; 0: none */
    unsigned commands;   /* that take it */
    const char *value;   /* its value in help: DIR, FILE, NN=DIR, K; NULL: it takes none */
    const char *choices; /* the possible values, "a b c"; NULL: not a fixed list */
    /* Returns 0, -EDOM if the value is invalid for the row, or another negative errno. */
    int (*take)(const struct given *given);
    unsigned number;   /* of a number, the maximum; of a view, which one */
    size_t field;      /* in struct options, if it has one */
    double least;      /* the minimum of seconds */
    const char *wants; /* what to give instead of an invalid value */
    const char *help;
};

static int take_flag(const struct given *given)
{
    *(bool *)given->field = true;
    return 0;
}

/* Passes the option on to libfuse; it is a flag if it has a field. */
static int take_passed_on(const struct given *given)
{
    if (given->row->field)
        *(bool *)given->field = true;
    return options_pass_on(given->options, given->text);
}

/* Sets a field to true for the first of two choices. */
static int take_either(const struct given *given)
{
    const char *first = given->row->choices, *second = strchr(first, ' ') + 1;
    size_t length = strlen(given->value);
    bool is_second = strcmp(given->value, second) == 0;

    *(bool *)given->field = !is_second;
    return is_second || (strncmp(given->value, first, length) == 0 && first[length] == ' ') ? 0
                                                                                            : -EDOM;
}

static int take_text(const struct given *given)
{
    char **field = given->field;

    free(*field);
    *field = strdup(given->value);
    return *field ? 0 : -ENOMEM;
}

static int take_number(const struct given *given)
{
    unsigned long number;
    const char *end;

    if (number_read(given->value, 1, given->row->number, &number, &end) < 0 || *end)
        return -EDOM;
    *(unsigned *)given->field = (unsigned)number;
    return 0;
}

/* Takes plain digits, with or without a fraction. */
static int take_seconds(const struct given *given)
{
    char *end;
    double seconds = strtod(given->value, &end);

    *(double *)given->field = seconds;
    return *given->value >= '0' && *given->value <= '9' && !*end && seconds >= given->row->least &&
                   seconds <= LONGEST_S
               ? 0
               : -EDOM;
}

static int take_part(const struct given *given)
{
    return number_read_part(given->value, given->field) < 0 ? -EDOM : 0;
}

static int take_format(const struct given *given)
{
    return share_format_from_name(given->value, given->field) < 0 ? -EDOM : 0;
}

static int take_block_size(const struct given *given)
{
    return block_size_from_text(given->value, given->field) < 0 ? -EDOM : 0;
}

static int take_quick(const struct given *given)
{
    given->options->sample = 0;
    return 0;
}

static int take_store(const struct given *given)
{
    return names_add(&given->options->stores, given->value);
}

static int take_exclude(const struct given *given)
{
    return excludes_add(given->options->rules.excludes, given->value);
}

static int take_exclude_from(const struct given *given)
{
    int r = excludes_add_file(given->options->rules.excludes, given->value);

    if (r == -EINVAL)
        return log_as(r, "%s: not a text file", given->text);
    return r < 0 ? log_errno(r, "%s", given->text) : 0;
}

/* Takes the option alone, or with =1 or =0. */
static int take_view(const struct given *given)
{
    enum view_kind *view = &given->options->view, wanted = given->row->number;
    const char *value = given->value ? given->value : "1", *name = given->row->name;

    if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
        return log_as(-EINVAL, "%s: give %s alone, or %s=1", given->text, name, name);
    if (*value == '0')
        return 0;
    if (*view != VIEW_ENCODED && *view != wanted)
        return log_as(-EINVAL, "%s: restore and rebuild are two views; give one of them",
                      given->text);
    *view = wanted;
    return 0;
}

/* Takes "00,03-05". A bare number is taken for a count, as in -o shares=, if it can be one. */
static int take_shares(const struct given *given)
{
    const char *at = given->value;
    size_t digits = strspn(at, "0123456789");

    if (digits > 0 && !at[digits] && digits != 2)
        return log_as(-EINVAL,
                      "%s: wants a list of shares, like 00,03-05; for %s shares give -n %s",
                      given->text, at, at);
    if (digits == 2 && !at[digits] && *at != '0')
        return log_as(-EINVAL,
                      "%s: wants a list of shares, like 00,03-05; for %s shares give -n %s, for "
                      "share %s alone --shares %s-%s",
                      given->text, at, at, at, at, at);
    given->options->some_shares = true;
    for (unsigned first, last;; at++) {
        int r = number_read_share(at, &first, &at);
        last = first;
        if (r == 0 && *at == '-')
            r = number_read_share(at + 1, &last, &at);
        if (r < 0 || first > last || (*at && *at != ','))
            return -EDOM;
        for (unsigned i = first; i <= last; i++)
            given->options->shares[i] = true;
        if (!*at)
            return 0;
    }
}

/* Takes NN=DIR. */
static int take_place(const struct given *given)
{
    struct options *options = given->options;
    unsigned index;
    const char *end;

    if (number_read_share(given->value, &index, &end) < 0 || *end != '=' || !end[1])
        return -EDOM;
    for (size_t i = 0; i < options->place_count; i++) {
        if (options->places[i].index == index)
            return log_as(-EINVAL, "%s: share %02x is given twice", given->text, index);
    }
    options->places[options->place_count++] = (struct place_for_share){(uint8_t)index, end + 1};
    return 0;
}

static int take_list(const struct given *given); /* of options of a mount */

#define AT(member)     .field = offsetof(struct options, member)
#define FLAG(member)   .take = take_flag, AT(member)
#define TEXT(member)   .take = take_text, AT(member)
#define PASSED(member) .take = take_passed_on, AT(member)
#define NUMBER(member, most)                                                                       \
    .take = take_number, AT(member), .number = (most), .wants = "a whole number from 1 to " #most
#define PLACE                                                                                      \
    .take = take_place, .wants = "a share in two hex digits and a directory, like 03=/mnt/usb"

enum {
    OF_STORES = COMMAND_DECODE | COMMAND_CHECK | COMMAND_REPAIR,
    OF_ENCODING = COMMAND_ENCODE | COMMAND_BENCH,
    OF_SETS = COMMAND_SYNC | COMMAND_STATUS,
    OF_SHARES = OF_STORES | OF_ENCODING,
    WRITERS = COMMAND_ENCODE | COMMAND_DECODE | COMMAND_REPAIR,
    COMMANDS = OF_SHARES | COMMAND_INFO | OF_SETS | COMMAND_RECOVER | COMMAND_KEY,
};

/*
 * In the order of help, which wraps the text. zfec-fs(1) has more on each; the tests compare the
 * two. To add an option, add its row, use its field, and document it there.
 */
static const struct option_row option_rows[] = {
    {"required", 'k', BEHIND_O, "K", NUMBER(required, 255),
     .help =
         "shares that are enough to restore, 1..255 (default: 3 of a source, or what most stores "
         "say)"},
    {"required", 'k', OF_ENCODING, "K", NUMBER(required, 255),
     .help = "shares that are enough to restore, 1..255 (default 3)"},
    {"required", 'k', OF_STORES, "K", NUMBER(required, 255),
     .help = "shares that are enough to restore, 1..255 (default: what most stores say)"},
    {"required", 'k', COMMAND_INFO, "K", NUMBER(required, 255),
     .help = "no effect here: each share file says it itself"},
    {"required", 'k', COMMAND_KEY, "K", NUMBER(required, 255),
     .help = "stores whose parts are the key, 1..255 (default: what most of them say)"},
    {"shares", 0, BEHIND_O, "N", NUMBER(encoding.shares, 256),
     .help = "shares to show, K..256 (default 20)"},
    {"count", 'n', OF_ENCODING, "N", NUMBER(encoding.shares, 256),
     .help = "shares that there are, K..256 (default 20)"},
    {"shares", 0, COMMAND_ENCODE, "LIST", .take = take_shares,
     .wants = "shares in two hex digits, like 00,03-05",
     .help = "make only these shares in DEST, like 00,03-05"},
    {"to", 0, COMMAND_ENCODE, "NN=DIR", PLACE, .help = "make share NN in DIR; may be repeated"},
    {"add", 0, COMMAND_REPAIR, "NN=DIR", PLACE,
     .help = "make share NN in DIR, a new store; may be repeated"},
    {"replace", 0, COMMAND_REPAIR, "NODE", TEXT(replaced),
     .help = "of SET: fill the new, empty disk or host in the place of this node"},
    {"source", 0, BEHIND_O, "DIR", TEXT(source),
     .help = "the same as the argument SOURCE or STORES"},
    {"restore", 0, BEHIND_O, .take = take_view, .number = VIEW_RESTORED,
     .help = "show the files of the shares in STORES"},
    {"rebuild", 0, BEHIND_O, .take = take_view, .number = VIEW_REBUILT,
     .help = "show shares, made from those in STORES"},
    {"store", 0, MOUNT_OF_STORES | OF_STORES | COMMAND_KEY, "DIR", .take = take_store,
     .help = "one more store, from anywhere; may be repeated"},
    {"store-timeout", 0, MOUNT_OF_STORES | OF_STORES, "S", .take = take_seconds, AT(store_timeout),
     .least = 0.1, .wants = "seconds, 0.1 to 86400",
     .help = "seconds until a store that does not answer is set aside, and the others are used "
             "(default 5)"},
    {"unconfirmed", 0, MOUNT_OF_STORES | COMMAND_DECODE, FLAG(unconfirmed),
     .help = "also take names that too few stores have"},
    {"orphans", 0, MOUNT_OF_STORES, FLAG(orphans),
     .help = "also show files of sealed shares that no directory names any more"},
    {"older", 0, COMMAND_DECODE, FLAG(older),
     .help = "of damaged files, take the newest whole version"},
    {"salvage", 0, COMMAND_DECODE, FLAG(salvage),
     .help = "of lost files, write what can be read to NAME.partial"},
    {"format", 0, BEHIND_O | OF_SHARES | COMMAND_INFO, "F", "checked classic fec sealed",
     .take = take_format, AT(encoding.format), .wants = FORMAT_NAMES,
     .help = "checked (default), sealed (encrypted, by a key), classic (zfec_fs) or fec (zfec)"},
    {"key", 0, BEHIND_O | COMMAND_ENCODE | OF_STORES, "FILE", TEXT(key),
     .help = "the key of sealed shares, as zfec-fs key new made it"},
    {"key-on-nodes", 0, MOUNT_OF_SOURCE | COMMAND_ENCODE, "no", "no yes", .take = take_either,
     AT(key_kept), .wants = "yes or no",
     .help = "no: shares have no part of the key (default: any K shares give it)"},
    {"block-size", 0, BEHIND_O | OF_ENCODING, "SIZE", "4K 8K 16K 32K 64K 128K 256K 512K 1M",
     .take = take_block_size, AT(encoding.block_size), .wants = "a power of two from 4K to 1M",
     .help = "bytes with a check of their own: a power of two, 4K..1M (default 64K)"},
    {"exclude", 0, MOUNT_OF_SOURCE | COMMAND_ENCODE, "PATTERN", .take = take_exclude,
     .help = "leave out what matches, as a .gitignore does"},
    {"exclude-from", 0, MOUNT_OF_SOURCE | COMMAND_ENCODE, "FILE", .take = take_exclude_from,
     .help = "the same, with a pattern on each line of FILE"},
    {"xdev", 0, MOUNT_OF_SOURCE, FLAG(rules.one_file_system),
     .help = "other file systems in SOURCE are empty directories"},
    {"one-file-system", 0, MOUNT_OF_SOURCE | UNLISTED, FLAG(rules.one_file_system),
     .help = "the same as xdev"},
    {"one-file-system", 'x', COMMAND_ENCODE, FLAG(rules.one_file_system),
     .help = "other file systems in SOURCE are empty directories"},
    {"torn", 0, MOUNT_OF_SOURCE | COMMAND_ENCODE, "allow", "allow error", .take = take_either,
     AT(rules.torn_allowed), .wants = "allow or error",
     .help = "allow: read files that change meanwhile as they are (default: error)"},
    {"attr-timeout", 0, BEHIND_O, "S", .take = take_seconds, AT(attribute_timeout),
     .wants = "seconds, 0 to 86400",
     .help = "seconds that the kernel may keep attributes; 1 is faster"},
    {"cache", 0, BEHIND_O, "no", "no yes", .take = take_either, AT(pages_avoided),
     .wants = "yes or no", .help = "read past the kernel's cache of pages"},
    {"io-uring", 0, BEHIND_O, FLAG(io_uring),
     .help = "take the kernel's requests by io_uring, if it can"},

    {"quick", 0, COMMAND_CHECK, .take = take_quick,
     .help = "check presence, sizes and headers only"},
    {"sample", 0, COMMAND_CHECK, "P", .take = take_part, AT(sample),
     .wants = "a part of the blocks, like 5%",
     .help = "read only a random part of the blocks, like 5%"},
    {"due", 0, COMMAND_CHECK, FLAG(due),
     .help = "of SET: read a part, what was not read for longest"},
    {"report", 0, COMMAND_CHECK, "FILE", TEXT(report),
     .help = "also write what was found to FILE, as a web page"},
    {"config", 'c', OF_SETS | COMMAND_CHECK | COMMAND_REPAIR | COMMAND_RECOVER, "FILE",
     TEXT(config),
     .help = "the file of sets (~/.config/zfec-fs/sets.ini; of root /etc/zfec-fs/sets.ini)"},
    {"as-told", 0, COMMAND_RECOVER, FLAG(as_told),
     .help = "write what PLACE tells, also where other nodes tell something else"},
    {"config", 0, MOUNT_OF_STORES | COMMAND_DECODE | COMMAND_KEY, "FILE", TEXT(config),
     .help = "the file of sets, for SET: as STORES"},
    {"ask", 0, COMMAND_STATUS, FLAG(ask),
     .help = "ask the nodes as well: whether they can be reached, and what is to be sent"},
    {"metrics", 0, OF_SETS | COMMAND_CHECK, "FILE", TEXT(metrics),
     .help = "also write what is known of all sets to FILE, for Prometheus"},
    {"passphrase-file", 0, COMMAND_KEY | OF_STORES | MOUNT_OF_STORES, "FILE", TEXT(passphrase_file),
     .help = "the passphrase is what is in FILE (default: the terminal is asked)"},
    {"remove", 0, COMMAND_KEY, FLAG(passphrase_removed),
     .help = "of passphrase: the key is to need none any more"},
    {"paper", 0, COMMAND_KEY, "FILE", TEXT(paper),
     .help = "of recover: what show has printed is in FILE; - is standard input"},
    {"id", 0, COMMAND_KEY | COMMAND_DECODE | MOUNT_OF_STORES, "ID", TEXT(set_id),
     .help = "of sealed shares: the set that is meant, as key show shows it"},
    {"checksum", 'c', COMMAND_ENCODE | COMMAND_DECODE, FLAG(checksum),
     .help = "compare contents where size and time are the same"},
    {"checksum", 0, COMMAND_SYNC, FLAG(checksum), .help = "compare contents, not sizes and times"},
    {"verify", 0, COMMAND_SYNC, "P", .take = take_part, AT(verify),
     .wants = "a part of the files, like 5%",
     .help = "then compare a random part of the files, like 5%"},
    {"delete", 0, COMMAND_ENCODE, FLAG(remove), .help = "remove what is not in SOURCE"},
    {"delete", 0, COMMAND_DECODE, FLAG(remove), .help = "remove what is not in the stores"},
    {"delete", 0, COMMAND_REPAIR, FLAG(remove),
     .help = "remove what fewer stores have than are enough"},
    {"delete-most", 0, COMMAND_SYNC, FLAG(remove_most),
     .help = "delete also more than half of the names that a node has"},
    {"delete-most", 0, COMMAND_ENCODE | COMMAND_DECODE, FLAG(remove_most),
     .help = "with --delete: also if most of DEST would go"},
    {"adopt", 0, COMMAND_SYNC, FLAG(adopt),
     .help = "write also to nodes that say they hold a share of another set, or another share"},
    {"no-sparse", 0, WRITERS, FLAG(dense),
     .help = "write zeros out (default: files have holes for them)"},
    {"dry-run", 0, WRITERS | COMMAND_SYNC, FLAG(dry_run),
     .help = "say what would be done, and do nothing"},
    {"jobs", 'j', OF_SHARES | COMMAND_INFO, "N", NUMBER(jobs, 256),
     .help = "threads (default: one per processor; 16 with remote stores)"},
    {"jobs", 'j', OF_SETS | COMMAND_RECOVER, "N", NUMBER(jobs, 256),
     .help = "how many nodes at once (default: all)"},
    {"jobs", 'j', COMMAND_KEY, "N", NUMBER(jobs, 256), .help = "no effect here"},
    {"quiet", 'q', COMMANDS, FLAG(quiet), .help = "only errors: no results, no progress"},
    {"verbose", 'v', COMMANDS, FLAG(verbose), .help = "also print each file"},
    {"json", 0, COMMANDS, FLAG(json), .help = "results as JSON, one object a line"},
    {"log-file", 0, COMMANDS, "FILE", TEXT(log_file), .help = "also write messages to FILE"},

    {NULL, 'o', COMMAND_MOUNT, "OPT[,OPT...]", .take = take_list,
     .help = "options for the mount: allow_other, fsname=NAME, ..."},
    {"allow-other", 0, BEHIND_O | UNLISTED, PASSED(others_allowed), .help = "other users may look"},
    {"allow-root", 0, BEHIND_O | UNLISTED, PASSED(command), .help = "root may look"},
    {"auto-unmount", 0, BEHIND_O | UNLISTED, PASSED(command),
     .help = "unmount when the process ends"},
    {"default-permissions", 0, BEHIND_O | UNLISTED, PASSED(permissions_checked),
     .help = "the kernel checks modes"},
    {"nonempty", 0, BEHIND_O | UNLISTED, FLAG(covers), .help = "cover what is at the mountpoint"},
    {"fsname", 0, BEHIND_O | UNLISTED, "NAME", .take = take_passed_on,
     .help = "name in the table of mounts"},
    {NULL, 'f', COMMAND_MOUNT, FLAG(foreground),
     .help = "stay in the foreground, log to standard error"},
    {NULL, 'd', COMMAND_MOUNT, FLAG(debug),
     .help = "show every request (and stay in the foreground)"},
    {NULL, 's', COMMAND_MOUNT, FLAG(single), .help = "serve one request at a time"},
    {"help", 'h', COMMANDS | COMMAND_MOUNT, FLAG(help), .help = "this help"},
    {"version", 'V', COMMAND_MOUNT, FLAG(version), .help = "the version"},
    {0},
};

static const struct command_row command_rows[] = {
    {"", COMMAND_MOUNT, "DIR", mount_command, "show shares of a source, or what is in stores",
     .forms = {"[options] [SOURCE] MOUNTPOINT", "-o restore [options] [STORES] MOUNTPOINT",
               "-o rebuild [options] [STORES] MOUNTPOINT"},
     .about = "The first form shows SOURCE (default /) as shares: a directory 00, 01, ... for\n"
              "each, with every file erasure-coded to 1/k of its size. Copy them to different\n"
              "places. The second form shows the files again, from any k of the shares that lie\n"
              "in the sub-directories of STORES. The third form shows shares again, made from\n"
              "the stores: those that were lost, too. All are read-only.\n"
              "To unmount: fusermount3 -u MOUNTPOINT. A comma in a value is written as \\, .\n"},
    {"encode", COMMAND_ENCODE, "DIR", encode_command, "make the shares of a directory tree",
     .alike = " backup create split ",
     .forms = {"[options] SOURCE DEST", "[options] SOURCE --to NN=DIR ..."},
     .about = "Makes the shares of all that is in SOURCE, in the directories 00, 01, ... of\n"
              "DEST, or where --to says. Files that are there already, with the right size and\n"
              "time, are left as they are.\n"},
    {"decode", COMMAND_DECODE, "DIR", decode_command, "restore files from shares",
     .other = "restore", .alike = " extract get unfec ",
     .forms = {"[options] STORES DEST", "[options] --store DIR ... [STORES] DEST"},
     .about = "Restores all files to DEST, from any k of the shares that lie in the\n"
              "directories of STORES. Files that are there already, with the right size and\n"
              "time, are left as they are. A file that cannot be restored is named, and the\n"
              "others are restored. zfec-fs restore is the same.\n"},
    {"check", COMMAND_CHECK, "DIR", check_command, "say what is damaged, missing or old",
     .alike = " verify test scrub fsck status ",
     .forms = {"[options] STORES", "[options] --store DIR ... [STORES]"},
     .about = "Reads every share of every file in the directories of STORES, and says what is\n"
              "damaged, missing or old, and what can still be lost.\n"},
    {"repair", COMMAND_REPAIR, "DIR", repair_command, "make missing, damaged and old shares anew",
     .alike = " fix heal mend rebuild ",
     .forms = {"[options] STORES", "[options] --store DIR ... [STORES]",
               "[options] [--replace NODE] SET:[PATH]"},
     .about = "Brings every store in the directories of STORES to the newest version that can\n"
              "be restored: makes missing, damaged and old shares anew. Those of a set's nodes\n"
              "are sent to them by the program that keeps them in sync.\n"},
    {"info", COMMAND_INFO, "FILE", info_command, "say what share files are", .alike = " show stat ",
     .forms = {"[options] FILE..."},
     .about = "Says what share files say of themselves, and whether they are intact.\n"},
    {"sync", COMMAND_SYNC, "SET", sync_command, "bring the nodes of sets up to date",
     .alike = " push update upload ", .forms = {"[options] [NAME...]"},
     .about = "Brings every node of the sets NAME (default: of all) up to date, all at once, by\n"
              "rsync or rclone, and says which nodes are up to date, and which are behind and\n"
              "since when. zfec-fs-sets(5) has what the file of sets says.\n"},
    {"status", COMMAND_STATUS, "SET", status_command, "say how the nodes of sets were last",
     .forms = {"[options] [NAME...]"},
     .about = "Says what is known of every node of the sets NAME (default: of all), at once and\n"
              "without asking the nodes: since when each is up to date or behind, and how many\n"
              "may be lost.\n"},
    {"recover", COMMAND_RECOVER, "DIR", recover_command, "make the file of sets anew, from a node",
     .forms = {"[options] PLACE"},
     .about = "Asks the node at PLACE for the other nodes of its set, asks these, and adds the\n"
              "set to the file of sets, so that zfec-fs decode SET: DIR restores it. PLACE is a\n"
              "directory, or what rsync or rclone takes: nas:backup/home, cloud:bucket/home.\n"},
    {"key", COMMAND_KEY, "FILE", key_command, "make, show and recover the keys of sealed shares",
     .alike = " keys password passwd passphrase ",
     .forms = {"[options] new FILE", "[options] show FILE", "[options] recover STORES FILE",
               "[options] recover --paper PAPER FILE", "[options] passphrase FILE [STORES]"},
     .about = "Makes a new key of sealed shares in FILE; shows one so that it can be put on\n"
              "paper; makes FILE again, from any k of the stores in STORES or from paper; and\n"
              "sets, changes or removes its passphrase, in FILE and in the stores.\n"},
    {"bench", COMMAND_BENCH, "-", bench_command, "measure the code and the hash of this machine",
     .alike = " benchmark speed ", .forms = {"[options]"},
     .about = "Measures how fast the code and the hash are on this machine, in memory, and\n"
              "compares that with a network link. Takes some seconds.\n"},
};

const struct command_row *command_find(const char *word)
{
    for (size_t i = 1; i < COUNT_OF(command_rows); i++) {
        const struct command_row *row = &command_rows[i];
        if (strcmp(word, row->name) == 0 || (row->other && strcmp(word, row->other) == 0))
            return row;
    }
    return &command_rows[0];
}

/* Returns how many letters of A must change to give B: replaced, removed or inserted letters, or
 * swapped neighbours. A word longer than LONGEST is unlike any other. */
static unsigned letters_between(const char *a, const char *b)
{
    enum { LONGEST = 15 };
    const size_t of_a = strlen(a), of_b = strlen(b);
    unsigned between[LONGEST + 1][LONGEST + 1] = {{0}};

    if (of_a > LONGEST || of_b > LONGEST)
        return UINT_MAX;
    for (size_t i = 0; i <= of_a; i++) {
        for (size_t j = 0; j <= of_b; j++) {
            unsigned least = (unsigned)(i + j);
            if (i > 0 && j > 0) {
                const unsigned changed = between[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
                least = between[i - 1][j] + 1;
                least = between[i][j - 1] + 1 < least ? between[i][j - 1] + 1 : least;
                least = changed < least ? changed : least;
            }
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                between[i - 2][j - 2] + 1 < least)
                least = between[i - 2][j - 2] + 1;
            between[i][j] = least;
        }
    }
    return between[of_a][of_b];
}

enum exit_status command_refuse(const char *word)
{
    unsigned least = strlen(word) < 4 ? 2 : 3; /* so many changed letters make a different word */
    cleanup_free char *around = NULL;
    const char *nearest = NULL;

    if (asprintf(&around, " %s ", word) < 0)
        return EXIT_STATUS_FAILED;
    for (size_t i = 1; i < COUNT_OF(command_rows); i++) {
        const struct command_row *row = &command_rows[i];
        const char *const names[] = {row->name, row->other};
        for (size_t j = 0; j < COUNT_OF(names) && names[j]; j++) {
            unsigned letters = letters_between(word, names[j]);
            nearest = letters < least ? names[j] : nearest;
            least = letters < least ? letters : least;
        }
        if (row->alike && strstr(row->alike, around)) {
            nearest = row->name;
            least = 0;
        }
    }
    if (nearest)
        log_error("there is no command '%s': did you mean %s?", word, nearest);
    else
        log_error("there is no command '%s', and no such directory; see zfec-fs --help", word);
    return EXIT_STATUS_USAGE;
}

/* Further options that are passed on to libfuse and the kernel. */
static const char *const passed_on[] = {
    "dev",         "nodev",         "suid",        "nosuid",       "exec",     "noexec",
    "atime",       "noatime",       "diratime",    "nodiratime",   "relatime", "norelatime",
    "strictatime", "nostrictatime", "async",       "sync",         "dirsync",  "subtype=",
    "context=",    "fscontext=",    "defcontext=", "rootcontext=",
};

/* Options in fstab that are for mount(8), or always apply here: they are ignored. */
static const char *const ignored[] = {
    "ro",    "rw",    "defaults", "auto",   "noauto",  "user", "nouser",
    "users", "owner", "group",    "nofail", "_netdev", "x-",   "comment=",
};

/* Returns true if TEXT is in LIST. An entry that ends in "=" or "-" matches as a prefix. */
static bool is_listed(const char *text, const char *const list[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(list[i]);
        bool is_start = length > 0 && strchr("=-", list[i][length - 1]);
        if (strncmp(text, list[i], length) == 0 && (text[length] == '\0' || is_start))
            return true;
    }
    return false;
}

int options_pass_on(struct options *options, const char *text)
{
    const char *so_far = options->mount_options ? options->mount_options : "";
    char *longer = malloc(strlen(so_far) + 1 + 2 * strlen(text) + 1);

    if (!longer)
        return -ENOMEM;
    char *end = stpcpy(longer, so_far);
    if (*so_far)
        *end++ = ',';
    for (; *text; text++) {
        if (*text == ',' || *text == '\\') /* needs its backslash back */
            *end++ = '\\';
        *end++ = *text;
    }
    *end = '\0';
    free(options->mount_options);
    options->mount_options = longer;
    return 0;
}

/* The spelling of an option after -o. */
struct spelling {
    char text[24];
};

static struct spelling spell(const struct option_row *row)
{
    struct spelling ret = {""};

    for (size_t i = 0; row->name[i]; i++)
        ret.text[i] = (char)(row->name[i] == '-' ? '_' : row->name[i]);
    return ret;
}

/* Takes the option of ROW; other parameters as in struct given. */
static int take(struct options *options, const struct option_row *row, const char *text,
                const char *value)
{
    const struct given given = {options, row, text, value, (char *)options + row->field};

    /* An empty path would be taken for the working directory. */
    if (value && !*value && row->value &&
        (strcmp(row->value, "DIR") == 0 || strcmp(row->value, "FILE") == 0))
        return log_as(-EINVAL, "%s: empty; give a path", text);
    if (value && !row->value && row->take != take_view)
        return log_as(-EINVAL, "%s: give it no value", text);
    int r = row->take(&given);
    return r == -EDOM ? log_as(-EINVAL, "%s: give %s", text, row->wants) : r;
}

/* Takes one option of a mount, "name" or "name=value". */
static int take_one(struct options *options, const char *text)
{
    size_t length = strcspn(text, "=");
    const char *value = text[length] ? text + length + 1 : NULL;

    for (const struct option_row *row = option_rows; row->help; row++) {
        if (!row->name || !(row->commands & BEHIND_O) || strlen(row->name) != length ||
            strncmp(spell(row).text, text, length) != 0)
            continue;
        if (row->value && !value)
            return log_as(-EINVAL, "%s: give it a value: %s=...", text, text);
        if (!(row->commands & MOUNT_OF_STORES))
            strcpy(options->of_source, spell(row).text);
        if (!(row->commands & MOUNT_OF_SOURCE))
            strcpy(options->of_stores, spell(row).text);
        return take(options, row, text, value);
    }
    if (is_listed(text, ignored, COUNT_OF(ignored)))
        return 0;
    if (is_listed(text, passed_on, COUNT_OF(passed_on)))
        return options_pass_on(options, text);
    return log_as(-EINVAL, "%s: unknown option; see zfec-fs --help", text);
}

/* Splits a list at commas; a backslash makes the next character literal. */
static int take_list(const struct given *given)
{
    cleanup_free char *text = calloc(strlen(given->value) + 1, 1);
    int r = text ? 0 : -ENOMEM;

    for (const char *from = given->value; r == 0 && *from; from += *from == ',') {
        char *end = text;
        for (; *from && *from != ','; from++) {
            if (*from == '\\' && from[1])
                from++;
            *end++ = *from;
        }
        *end = '\0';
        r = *text ? take_one(given->options, text) : 0;
    }
    return r;
}

/* For getopt_long(3), row number I is I + FIRST_LONG, and its letter if it has one. */
enum { FIRST_LONG = 256 };

static const struct option_row *find_row(int found, enum command command)
{
    if (found >= FIRST_LONG)
        return &option_rows[found - FIRST_LONG];
    for (const struct option_row *row = option_rows; row->help; row++) {
        if (row->letter == found && row->commands & command)
            return row;
    }
    return NULL;
}

static int take_found(struct options *options, const struct option_row *row, const char *value)
{
    cleanup_free char *text = NULL;
    int length = row->name
                     ? asprintf(&text, "--%s%s%s", row->name, value ? " " : "", value ? value : "")
                     : asprintf(&text, "-%c", row->letter);

    return length < 0 ? -ENOMEM : take(options, row, text, value);
}

/* Returns ", but of encode and decode (--checksum) and sync (--config)": the commands that have an
 * option of that LETTER or NAME; "" if there are none. The caller frees it. */
static char *other_commands(int letter, const char *name)
{
    cleanup_free char *text = NULL;

    for (size_t i = 1; i < COUNT_OF(command_rows); i++) {
        const struct option_row *row = option_rows;
        while (row->help &&
               (!(row->commands & command_rows[i].command) ||
                (letter ? row->letter != letter : !row->name || strcmp(row->name, name) != 0)))
            row++;
        if (!row->help)
            continue;
        char *longer;
        bool means = letter && row->name;
        if (asprintf(&longer, "%s%s%s%s%s%s", text ? text : "", text ? ", " : ", but of ",
                     command_rows[i].name, means ? " (--" : "", means ? row->name : "",
                     means ? ")" : "") < 0)
            break;
        free(text);
        text = longer;
    }
    return steal_pointer(text);
}

/* Reports what getopt_long(3) rejects; WORD is the last that it looked at. */
static int refuse_word(const struct options *options, int found, const char *word)
{
    const struct option_row *row = optopt ? find_row(optopt, options->command) : NULL;
    char letter[] = {'-', (char)optopt, '\0'};
    const char *name = options->name, *space = *name ? " " : "";

    if (found == ':')
        return log_as(-EINVAL, "%s: give it a value; see zfec-fs%s%s --help", word, space, name);
    if (row)
        return log_as(-EINVAL, "--%s: takes no value; see zfec-fs%s%s --help", row->name, space,
                      name);
    cleanup_free char *others = other_commands(optopt, word + strspn(word, "-"));
    return log_as(-EINVAL, "%s: not an option of %s%s; see zfec-fs%s%s --help",
                  optopt ? letter : word, *name ? name : "mounts", others ? others : "", space,
                  name);
}

int options_parse(const struct command_row *row, int count, char *words[], struct options *ret)
{
    const enum command command = row->command;
    struct option names[COUNT_OF(option_rows)] = {0}, *next = names;
    char letters[2 * COUNT_OF(option_rows) + 2] = ":", *letter = letters + 1;
    int found;

    *ret = (struct options){
        .command = command,
        .name = row->name,
        .encoding = {.format = SHARE_CHECKED,
                     .required = 3,
                     .shares = 20,
                     .block_size = BLOCK_SIZE_DEFAULT},
        .attribute_timeout = -1,
        .store_timeout = -1,
        .sample = 1,
        /* 0: as many as suit the files that are processed */
        .jobs = command & OF_SETS          ? JOBS_MAX
                : command == COMMAND_BENCH ? thread_processors()
                                           : 0,
    };
    for (size_t i = 0; option_rows[i].help; i++) {
        const struct option_row *option = &option_rows[i];
        if (!(option->commands & command))
            continue;
        if (option->name)
            *next++ =
                (struct option){option->name, option->value != NULL, NULL, FIRST_LONG + (int)i};
        if (option->letter)
            *letter++ = option->letter;
        if (option->letter && option->value)
            *letter++ = ':';
    }
    int r = excludes_new(&ret->rules.excludes);
    optind = 1;
    while (r == 0 && (found = getopt_long(count, words, letters, names, NULL)) >= 0)
        r = found == '?' || found == ':' ? refuse_word(ret, found, words[optind - 1])
                                         : take_found(ret, find_row(found, command), optarg);
    ret->words = words + optind;
    ret->word_count = (size_t)(count - optind);
    for (size_t i = 0; r == 0 && i < ret->word_count; i++) {
        if (!*ret->words[i])
            r = log_as(-EINVAL, "an argument is empty; give a path");
    }
    if (ret->required > 0)
        ret->encoding.required = ret->required;
    return r == -ENOMEM ? log_errno(r, "the command line") : r;
}

void options_clear(struct options *options)
{
    excludes_free(options->rules.excludes);
    names_clear(&options->stores);
    free(options->source);
    free(options->address);
    free(options->replaced);
    free(options->mount_options);
    free(options->report);
    free(options->config);
    free(options->metrics);
    free(options->log_file);
    free(options->key);
    free(options->passphrase_file);
    free(options->paper);
    free(options->set_id);
}

int options_check_encoding(const struct options *options)
{
    const struct encoding *encoding = &options->encoding;
    bool is_mount = options->command == COMMAND_MOUNT;
    const char *k = is_mount ? "required=" : "-k ", *n = is_mount ? "shares=" : "-n ";
    const char *between = is_mount ? "" : ": ";

    if (encoding->required <= encoding->shares)
        return 0;
    if (options->required == 0)
        return log_as(-EINVAL, "%s%s%s%u: fewer than are enough, which is %u by default; give %s%u",
                      options->name, between, n, encoding->shares, encoding->required, k,
                      encoding->shares);
    return log_as(-EINVAL, "%s%s%s%u: more than %s%u; give at least as many shares", options->name,
                  between, k, encoding->required, n, encoding->shares);
}

char *options_sets_path(const struct options *options)
{
    const char *folder = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char *path = NULL;
    int length;

    if (options->config)
        return strdup(options->config);
    if (geteuid() == 0)
        return strdup("/etc/zfec-fs/sets.ini");
    if (folder && *folder == '/')
        length = asprintf(&path, "%s/zfec-fs/sets.ini", folder);
    else
        length = asprintf(&path, "%s/.config/zfec-fs/sets.ini", home ? home : "");
    return length < 0 ? NULL : path;
}

enum { COLUMN = 27, WIDTH = 80 }; /* of the text after an option, and of a line */

/* Prints "-k" and "--required" with BETWEEN, or only one of them; returns their length. */
static int print_switches(const struct option_row *row, const char *between, const char *no_letter)
{
    int length = row->letter ? printf("-%c%s", row->letter, row->name ? between : "")
                             : printf("%s", no_letter);

    return length + (row->name ? printf("--%s", row->name) : 0);
}

static void print_option(const struct option_row *row, bool behind_o)
{
    size_t column = 4;

    printf("    ");
    column +=
        (size_t)(behind_o ? printf("-o %s", spell(row).text) : print_switches(row, ", ", "    "));
    if (row->value)
        column += (size_t)printf("%c%s", behind_o ? '=' : ' ', row->value);
    if (column > COLUMN - 2) {
        putchar('\n');
        column = 0;
    }
    printf("%*s", (int)(COLUMN - column), "");
    column = COLUMN;
    for (const char *word = row->help; *word; word += strspn(word, " ")) {
        size_t length = strcspn(word, " ");
        if (column + length >= WIDTH) {
            printf("\n%*s", COLUMN, "");
            column = COLUMN;
        }
        column += (size_t)printf("%s%.*s", column > COLUMN ? " " : "", (int)length, word);
        word += length;
    }
    putchar('\n');
}

void help_print(const struct command_row *command)
{
    bool is_mount = command == command_rows;
    unsigned taken = command->command | (is_mount ? BEHIND_O : 0);

    for (size_t i = 0; i < COUNT_OF(command->forms) && command->forms[i]; i++)
        printf("%s zfec-fs%s%s %s\n", i == 0 ? "usage:" : "      ", is_mount ? "" : " ",
               command->name, command->forms[i]);
    if (is_mount)
        printf("       zfec-fs COMMAND --help\n");
    printf("\n%s\n", command->about);
    for (size_t i = 1; is_mount && i < COUNT_OF(command_rows); i++)
        printf("%s    %-*s%s\n%s", i == 1 ? "Commands, which need no mount:\n" : "", COLUMN - 4,
               command_rows[i].name, command_rows[i].summary,
               i + 1 == COUNT_OF(command_rows) ? "\nOptions of mounts:\n" : "");
    for (const struct option_row *row = option_rows; row->help; row++) {
        if (row->commands & taken && !(row->commands & UNLISTED))
            print_option(row, is_mount && row->commands & BEHIND_O);
    }
}

static void print_command_line(const struct command_row *command, const char *name)
{
    if (command->command != COMMAND_MOUNT)
        printf("commands\t%s\t%s\t%s\n", name, command->words, command->summary);
}

static void print_option_lines(const struct command_row *command, const char *name)
{
    for (const struct option_row *row = option_rows; row->help; row++) {
        const char *value = row->choices ? row->choices : row->value ? row->value : "-";
        if (command->command == COMMAND_MOUNT && row->commands & BEHIND_O)
            printf("-o\t%s\t%s\t%s\n", spell(row).text, value, row->help);
        if (!(row->commands & command->command))
            continue;
        printf("%s\t", name);
        print_switches(row, ",", "");
        printf("\t%s\t%s\n", value, row->help);
    }
}

/* Commands come first, so that a reader knows which options it needs. */
void help_print_tables(void)
{
    void (*const print[])(const struct command_row *, const char *) = {print_command_line,
                                                                       print_option_lines};

    for (size_t at = 0; at < COUNT_OF(print) * COUNT_OF(command_rows); at++) {
        const struct command_row *command = &command_rows[at % COUNT_OF(command_rows)];
        const bool is_mount = command->command == COMMAND_MOUNT;
        print[at / COUNT_OF(command_rows)](command, is_mount ? "mount" : command->name);
        if (command->other)
            print[at / COUNT_OF(command_rows)](command, command->other);
    }
}
