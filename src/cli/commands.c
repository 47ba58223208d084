/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include "base/array.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

const struct command_row command_rows[COMMAND_COUNT] = {
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
     .forms = {"[options] SOURCE DEST", "[options] SOURCE --to NN=DIR ..."},
     .about = "Makes the shares of all that is in SOURCE, in the directories 00, 01, ... of\n"
              "DEST, or where --to says. Files that are there already, with the right size and\n"
              "time, are left as they are.\n"},
    {"decode", COMMAND_DECODE, "DIR", decode_command, "restore files from shares",
     .forms = {"[options] STORES DEST", "[options] --store DIR ... [STORES] DEST"},
     .about = "Restores all files to DEST, from any k of the shares that lie in the\n"
              "directories of STORES. Files that are there already, with the right size and\n"
              "time, are left as they are. A file that cannot be restored is named, and the\n"
              "others are restored.\n"},
    {"check", COMMAND_CHECK, "DIR", check_command, "say what is damaged, missing or old",
     .forms = {"[options] STORES", "[options] --store DIR ... [STORES]"},
     .about = "Reads every share of every file in the directories of STORES, and says what is\n"
              "damaged, missing or old, and what can still be lost.\n"},
    {"repair", COMMAND_REPAIR, "DIR", repair_command, "make missing, damaged and old shares anew",
     .forms = {"[options] STORES", "[options] --store DIR ... [STORES]"},
     .about = "Brings every store in the directories of STORES to the newest version that can\n"
              "be restored: makes missing, damaged and old shares anew.\n"},
    {"info", COMMAND_INFO, "FILE", info_command, "say what share files are",
     .forms = {"[options] FILE..."},
     .about = "Says what share files say of themselves, and whether they are intact.\n"},
    {"sync", COMMAND_SYNC, "SET", sync_command, "bring the nodes of sets up to date",
     .forms = {"[options] [NAME...]"},
     .about = "Brings every node of the sets NAME (default: of all) up to date, all at once, by\n"
              "rsync or rclone, and says which nodes are up to date, and which are behind and\n"
              "since when. zfec-fs-sets(5) has what the file of sets says.\n"},
    {"bench", COMMAND_BENCH, "-", bench_command, "measure the code and the hash of this machine",
     .forms = {"[options]"},
     .about = "Measures how fast the code and the hash are on this machine, in memory, and\n"
              "compares that with a network link. Takes some seconds.\n"},
};

const struct command_row *command_find(const char *word)
{
    for (size_t i = 1; word && i < COMMAND_COUNT; i++) {
        if (strcmp(word, command_rows[i].name) == 0)
            return &command_rows[i];
    }
    return &command_rows[0];
}

enum { COLUMN = 27, WIDTH = 80 }; /* of the text behind an option, and of a line */

static int end_output(void)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return log_errno(-errno, "standard output");
    return 0;
}

/* Prints "-k" and "--required" with BETWEEN, or one of them, and returns how long that is. */
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
    column += (size_t)(behind_o ? printf("-o %s", option_spell(row).text)
                                : print_switches(row, ", ", "    "));
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

int help_print(const struct command_row *command)
{
    bool is_mount = command == command_rows;
    unsigned taken = command->command | (is_mount ? BEHIND_O : 0);

    for (size_t i = 0; i < COUNT_OF(command->forms) && command->forms[i]; i++)
        printf("%s zfec-fs%s%s %s\n", i == 0 ? "usage:" : "      ", is_mount ? "" : " ",
               command->name, command->forms[i]);
    if (is_mount)
        printf("       zfec-fs COMMAND --help\n");
    printf("\n%s\n", command->about);
    for (size_t i = 1; is_mount && i < COMMAND_COUNT; i++)
        printf("%s    %-*s%s\n%s", i == 1 ? "Commands, which need no mount:\n" : "", COLUMN - 4,
               command_rows[i].name, command_rows[i].summary,
               i + 1 == COMMAND_COUNT ? "\nOptions of mounts:\n" : "");
    for (const struct option_row *row = option_rows; row->help; row++) {
        if (row->commands & taken && !(row->commands & UNLISTED))
            print_option(row, is_mount && row->commands & BEHIND_O);
    }
    return end_output();
}

static void print_entry(const char *place, const struct option_row *row)
{
    printf("%s\t", place);
    if (*place == '-')
        printf("%s", option_spell(row).text);
    else
        print_switches(row, ",", "");
    printf("\t%s\t%s\n", row->choices ? row->choices : row->value ? row->value : "-", row->help);
}

int help_print_tables(void)
{
    for (size_t i = 1; i < COMMAND_COUNT; i++)
        printf("commands\t%s\t%s\t%s\n", command_rows[i].name, command_rows[i].words,
               command_rows[i].summary);
    for (const struct option_row *row = option_rows; row->help; row++) {
        if (row->commands & BEHIND_O)
            print_entry("-o", row);
        for (size_t i = 0; i < COMMAND_COUNT; i++) {
            if (row->commands & command_rows[i].command)
                print_entry(i > 0 ? command_rows[i].name : "mount", row);
        }
    }
    return end_output();
}

int version_print(const char *library_version)
{
    printf("zfec-fs %s (libfuse %s)\n", VERSION, library_version);
    return end_output();
}
