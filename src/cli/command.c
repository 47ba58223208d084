/* SPDX-License-Identifier: MIT */
#include "cli/command.h"

#include "base/log.h"
#include "cli/arguments.h"
#include "cli/help.h"
#include "mount/mount.h"
#include "view/encoded.h"
#include "view/restored.h"

static int open_view(const struct arguments *arguments, struct view **ret)
{
    struct stores *stores;

    if (!arguments->restore) {
        int r = encoded_view_new(arguments->source, &arguments->encoding, ret);
        return r < 0 ? log_errno(r, "%s: cannot be the source", arguments->source) : 0;
    }
    int r = stores_open(arguments->source, &arguments->stores, &stores);
    if (r < 0)
        return r;
    if (stores->count == 0)
        log_warning("%s: no stores in it: it should have a directory for each share",
                    arguments->source);
    struct share_terms terms = {
        .format = arguments->encoding.format,
        .required = arguments->encoding.required,
    };
    return restored_view_new(stores, &terms, ret);
}

static int run_mount(const struct arguments *arguments)
{
    cleanup_view struct view *view = NULL;

    if (open_view(arguments, &view) < 0)
        return EXIT_STATUS_USAGE;
    const struct mount_settings settings = {
        .mountpoint = arguments->mountpoint,
        .source = arguments->source ? arguments->source : "zfec-fs",
        .options = arguments->mount_options,
        .foreground = arguments->foreground,
        .debug = arguments->debug,
        .single = arguments->single,
    };
    return mount_serve(view, &settings) < 0 ? EXIT_STATUS_USAGE : EXIT_STATUS_OK;
}

int command_run(int count, char *words[])
{
    cleanup_arguments struct arguments arguments;

    if (arguments_parse(count, words, &arguments) < 0)
        return EXIT_STATUS_USAGE;
    if (arguments.help) {
        help_print();
        return EXIT_STATUS_OK;
    }
    if (arguments.version) {
        version_print(mount_library_version());
        return EXIT_STATUS_OK;
    }
    if (arguments_check(&arguments) < 0)
        return EXIT_STATUS_USAGE;
    return run_mount(&arguments);
}
