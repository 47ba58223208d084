/* SPDX-License-Identifier: MIT */
/* The program, from its command line to its exit status. */
#include "base/io.h"
#include "base/log.h"
#include "cli/background.h"
#include "cli/output.h"
#include "cli/set_stores.h"
#include "cli/sources.h"
#include "mount/mount.h"

#include <fcntl.h>
#include <malloc.h>
#include <string.h>
#include <unistd.h>

/* A command, in a process of its own: see background.h. */
static int run_command(const struct command_row *command, struct options *options)
{
    if (background_enter(BACKGROUND_COMMAND) < 0)
        return EXIT_STATUS_FAILED;
    descriptors_allow_all();
    int r = sources_check_beside(options);
    if (r < 0)
        return background_end(r == -EINVAL ? EXIT_STATUS_USAGE : EXIT_STATUS_FAILED);
    if (output_begin(options) < 0)
        return background_end(EXIT_STATUS_FAILED);
    int status = (int)command->run(options);
    set_stores_close();
    if (output_end() < 0 && status != EXIT_STATUS_LOST)
        status = EXIT_STATUS_FAILED;
    return background_end(status);
}

static int run_mount(const struct command_row *command, struct options *options)
{
    /* What one thread allocates, another frees: a name that was looked up lives until the kernel
     * forgets it. With an arena for each thread, each would keep what it once had at most. */
    mallopt(M_ARENA_MAX, 1);
    int status = (int)command->run(options);
    set_stores_close();
    return background_end(status);
}

/* What is opened later must not take the place of a standard stream that is closed: it would be
 * printed into, or be /dev/null before long. */
static void fill_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            open("/dev/null", O_RDWR); /* the lowest number that is free */
    }
}

int main(int count, char *words[])
{
    const char *word = count > 1 ? words[1] : "-";
    const struct command_row *command = command_find(word);
    bool is_mount = command->command == COMMAND_MOUNT;
    bool tables = count == 2 && strcmp(word, "--completion") == 0;
    cleanup_options struct options options = {0};

    fill_streams();
    /* A mistyped command: as a place to mount, its error would mislead. */
    if (is_mount && word[0] != '-' && !strchr(word, '/') && access(word, F_OK) < 0)
        return (int)command_refuse(word);
    int skipped = is_mount ? 0 : 1;
    int r = tables ? 0 : options_parse(command, count - skipped, words + skipped, &options);
    if (r < 0)
        return r == -ENOMEM ? EXIT_STATUS_FAILED : EXIT_STATUS_USAGE;
    if (tables)
        help_print_tables();
    else if (options.help)
        help_print(command);
    else if (options.version)
        printf("zfec-fs %s (libfuse %s)\n", VERSION, mount_library_version());
    else
        return is_mount ? run_mount(command, &options) : run_command(command, &options);
    return output_end() < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}
