/* SPDX-License-Identifier: MIT */
/* The program, from its command line to its exit status. */
#include "base/io.h"
#include "base/log.h"
#include "cli/background.h"
#include "cli/beside.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "mount/mount.h"

#include <string.h>
#include <unistd.h>

/* A command, in a process of its own: see background.h. */
static int run_command(const struct command_row *command, struct options *options)
{
    if (background_enter(true) < 0)
        return EXIT_STATUS_FAILED;
    descriptors_allow_all();
    int r = beside_check(options);
    if (r < 0)
        return background_end(r == -EINVAL ? EXIT_STATUS_USAGE : EXIT_STATUS_FAILED);
    if (output_begin(options) < 0)
        return background_end(EXIT_STATUS_FAILED);
    int status = (int)command->run(options);
    if (output_end() < 0 && status != EXIT_STATUS_LOST)
        status = EXIT_STATUS_FAILED;
    return background_end(status);
}

/* Returns true if WORD is a mistyped command: as a place to mount, its error would mislead. */
static bool is_no_command(const char *word)
{
    return word[0] != '-' && !strchr(word, '/') && access(word, F_OK) < 0;
}

int main(int count, char *words[])
{
    const char *word = count > 1 ? words[1] : NULL;
    const struct command_row *command = command_find(word);
    int skipped = command->command == COMMAND_MOUNT ? 0 : 1;
    cleanup_options struct options options = {0};

    if (count == 2 && strcmp(words[1], "--completion") == 0)
        return help_print_tables() < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
    if (skipped == 0 && word && is_no_command(word)) {
        log_error("%s: no such command, and no such directory; see zfec-fs --help", word);
        return EXIT_STATUS_USAGE;
    }
    int r =
        options_parse(command->command, command->name, count - skipped, words + skipped, &options);
    if (r < 0)
        return r == -ENOMEM ? EXIT_STATUS_FAILED : EXIT_STATUS_USAGE;
    if (options.help)
        return help_print(command) < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
    if (options.version)
        return version_print(mount_library_version()) < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
    return skipped ? run_command(command, &options) : background_end((int)command->run(&options));
}
