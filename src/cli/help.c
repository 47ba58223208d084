/* SPDX-License-Identifier: MIT */
#include "cli/help.h"

#include "base/array.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

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
    for (size_t i = 1; is_mount && i < COMMAND_COUNT; i++)
        printf("%s%s%s", i == 1 ? "       zfec-fs " : "|", command_rows[i].name,
               i + 1 == COMMAND_COUNT ? " --help\n" : "");
    printf("\n%s\n", command->about);
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
