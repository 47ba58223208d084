/* SPDX-License-Identifier: MIT */
#include "cli/named_sets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int choose_sets(const struct options *options, char **ret)
{
    const char *folder = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int length;

    if (options->config)
        length = asprintf(ret, "%s", options->config);
    else if (geteuid() == 0)
        length = asprintf(ret, "/etc/zfec-fs/sets.ini");
    else if (folder && *folder == '/')
        length = asprintf(ret, "%s/zfec-fs/sets.ini", folder);
    else
        length = asprintf(ret, "%s/.config/zfec-fs/sets.ini", home ? home : "");
    return length < 0 ? -ENOMEM : 0;
}

int sets_named(const struct options *options, char **ret_path, struct sets *ret)
{
    int r = choose_sets(options, ret_path);

    return r < 0 ? r : sets_read(*ret_path, ret);
}
