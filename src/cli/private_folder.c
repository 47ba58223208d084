/* SPDX-License-Identifier: MIT */
#include "cli/private_folder.h"

#include "base/log.h"
#include "sync/child.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { UNMOUNT_LIMIT_S = 20 };

static int make(const char *variable, const char *otherwise, const char *prefix, char **ret)
{
    const char *base = getenv(variable);

    if (!base || *base != '/' || access(base, W_OK) < 0)
        base = otherwise;
    if (asprintf(ret, "%s/%sXXXXXX", base, prefix) < 0) {
        *ret = NULL;
        return -ENOMEM;
    }
    return mkdtemp(*ret) ? 0 : log_errno(-errno, "%s: cannot be made", *ret);
}

int private_folder_make(const char *prefix, char **ret)
{
    return make("XDG_RUNTIME_DIR", "/tmp", prefix, ret);
}

int private_folder_make_large(const char *prefix, char **ret)
{
    return make("TMPDIR", "/var/tmp", prefix, ret);
}

void private_folder_unmount(const char *path)
{
    struct words words = {.names = NO_NAMES};

    WORDS_ADD(&words, "fusermount3", "-uqz", "--", path);
    child_run(&words, UNMOUNT_LIMIT_S, NULL);
}
