/* SPDX-License-Identifier: MIT */
#include "cli/private_folder.h"

#include "base/log.h"
#include "sync/child.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { UNMOUNT_LIMIT_S = 20 };

const char *private_folder_base(bool large)
{
    const char *base = getenv(large ? "TMPDIR" : "XDG_RUNTIME_DIR");

    if (base && *base == '/' && access(base, W_OK) == 0)
        return base;
    return large ? "/var/tmp" : "/tmp";
}

int private_folder_make(bool large, const char *prefix, char **ret)
{
    if (asprintf(ret, "%s/%sXXXXXX", private_folder_base(large), prefix) < 0) {
        *ret = NULL;
        return -ENOMEM;
    }
    return mkdtemp(*ret) ? 0 : log_errno(-errno, "%s: cannot be made", *ret);
}

void private_folder_unmount(const char *path)
{
    struct words words = {.names = NO_NAMES};

    WORDS_ADD(&words, "fusermount3", "-uqz", "--", path);
    child_run(&words, UNMOUNT_LIMIT_S, NULL);
}
