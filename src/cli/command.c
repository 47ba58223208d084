/* SPDX-License-Identifier: MIT */
#include "cli/command.h"

#include "base/io.h"
#include "base/log.h"
#include "cli/arguments.h"
#include "cli/background.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/reporter.h"
#include "cli/sources.h"
#include "cli/work.h"
#include "cli/works.h"
#include "mount/mount.h"
#include "view/encoded.h"
#include "view/restored.h"

static int open_stores(struct arguments *arguments, struct source **ret)
{
    int r = source_of_stores(arguments, ret);

    if (r == 0)
        reporter_watch(store_source_stores(*ret));
    return r;
}

static int open_view(struct arguments *arguments, struct view **ret)
{
    struct source *source;
    int r;

    switch (arguments->view) {
    case VIEW_RESTORED:
        r = open_stores(arguments, &source);
        return r < 0 ? r : restored_view_new(source, arguments->permissions_checked, ret);
    case VIEW_REBUILT:
        r = open_stores(arguments, &source);
        return r < 0 ? r : encoded_view_new(source, arguments->encoding.shares, ret);
    default:
        r = source_of_tree(arguments, &source);
        return r < 0 ? r : encoded_view_new(source, arguments->encoding.shares, ret);
    }
}

/* Stores are opened in the process that stays: threads may be on their way to those that hang. */
static enum exit_status run_mount(struct arguments *arguments)
{
    cleanup_view struct view *view = NULL;

    if (!arguments->foreground && !arguments->debug && background_enter() < 0)
        return EXIT_STATUS_FAILED;
    reporter_start();
    if (open_view(arguments, &view) < 0)
        return EXIT_STATUS_FAILED;
    const struct mount_settings settings = {
        .mountpoint = arguments->mountpoint,
        .source = arguments->source ? arguments->source : "zfec-fs",
        .options = arguments->mount_options,
        .permissions_checked = arguments->permissions_checked,
        .pages_avoided = arguments->pages_avoided,
        .io_uring = arguments->io_uring,
        .attribute_timeout = arguments->attribute_timeout,
        .debug = arguments->debug,
        .single = arguments->single,
        .ready = background_leave_user,
    };
    int r = mount_serve(view, &settings);
    reporter_watch(NULL);
    return r < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}

static int run_mount_form(int count, char *words[])
{
    cleanup_arguments struct arguments arguments;

    if (arguments_parse(count, words, &arguments) < 0)
        return EXIT_STATUS_USAGE;
    if (arguments.help)
        return help_print(0) < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
    if (arguments.version)
        return version_print(mount_library_version()) < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
    if (arguments_check(&arguments) < 0)
        return EXIT_STATUS_USAGE;
    return background_end((int)run_mount(&arguments));
}

static enum exit_status run_work(struct work *work)
{
    switch (work->command) {
    case COMMAND_ENCODE:
        return encode_command(work);
    case COMMAND_DECODE:
        return decode_command(work);
    case COMMAND_CHECK:
        return check_command(work);
    case COMMAND_REPAIR:
        return repair_command(work);
    case COMMAND_SYNC:
        return sync_command(work);
    case COMMAND_INFO:
        return info_command(work);
    default:
        return bench_command(work);
    }
}

static int run_command(int count, char *words[])
{
    cleanup_work struct work work;

    if (work_parse(count, words, &work) < 0)
        return EXIT_STATUS_USAGE;
    if (work.help)
        return help_print(work.command) < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
    if (background_work() < 0)
        return EXIT_STATUS_FAILED;
    descriptors_allow_all();
    if (output_begin(&work) < 0)
        return background_end(EXIT_STATUS_FAILED);
    int status = (int)run_work(&work);
    if (output_end() < 0 && status != EXIT_STATUS_LOST)
        status = EXIT_STATUS_FAILED;
    return background_end(status);
}

int command_run(int count, char *words[])
{
    if (count > 1 && work_command(words[1]))
        return run_command(count - 1, words + 1);
    return run_mount_form(count, words);
}
