/* SPDX-License-Identifier: MIT */
#include "cli/command.h"

#include "base/log.h"
#include "cli/arguments.h"
#include "cli/background.h"
#include "cli/help.h"
#include "mount/mount.h"
#include "view/encoded.h"
#include "view/restored.h"
#include "view/store_source.h"

static int open_stores(const struct arguments *arguments, struct source **ret)
{
    struct stores *stores;
    struct share_terms terms = {
        .format = arguments->encoding.format,
        .required = arguments->encoding.required,
    };

    int r = stores_open(arguments->source, &arguments->stores, &stores);
    return r < 0 ? r : store_source_new(stores, &terms, ret);
}

static int open_tree(struct arguments *arguments, struct source **ret)
{
    int r = tree_source_new(arguments->source, &arguments->encoding, &arguments->rules, ret);

    arguments->rules.excludes = NULL; /* they are the source's */
    return r < 0 ? log_errno(r, "%s: cannot be the source", arguments->source) : 0;
}

static int open_view(struct arguments *arguments, struct view **ret)
{
    struct source *source;
    int r;

    switch (arguments->view) {
    case VIEW_RESTORED:
        r = open_stores(arguments, &source);
        return r < 0 ? r : restored_view_new(source, ret);
    case VIEW_REBUILT:
        r = open_stores(arguments, &source);
        return r < 0 ? r : encoded_view_new(source, arguments->encoding.shares, ret);
    default:
        r = open_tree(arguments, &source);
        return r < 0 ? r : encoded_view_new(source, arguments->encoding.shares, ret);
    }
}

/* Stores are opened in the process that stays: threads may be on their way to those that hang. */
static int run_mount(struct arguments *arguments)
{
    cleanup_view struct view *view = NULL;

    if (!arguments->foreground && !arguments->debug && background_enter() < 0)
        return EXIT_STATUS_USAGE;

    if (open_view(arguments, &view) < 0)
        return EXIT_STATUS_USAGE;
    const struct mount_settings settings = {
        .mountpoint = arguments->mountpoint,
        .source = arguments->source ? arguments->source : "zfec-fs",
        .options = arguments->mount_options,
        .permissions_checked = arguments->permissions_checked,
        .attribute_timeout = arguments->attribute_timeout,
        .debug = arguments->debug,
        .single = arguments->single,
        .ready = background_leave_user,
    };
    return mount_serve(view, &settings) < 0 ? EXIT_STATUS_USAGE : EXIT_STATUS_OK;
}

int command_run(int count, char *words[])
{
    cleanup_arguments struct arguments arguments;

    if (arguments_parse(count, words, &arguments) < 0)
        return EXIT_STATUS_USAGE;
    if (arguments.help)
        return help_print() < 0 ? EXIT_STATUS_USAGE : EXIT_STATUS_OK;
    if (arguments.version)
        return version_print(mount_library_version()) < 0 ? EXIT_STATUS_USAGE : EXIT_STATUS_OK;
    if (arguments_check(&arguments) < 0)
        return EXIT_STATUS_USAGE;
    return background_end(run_mount(&arguments));
}
