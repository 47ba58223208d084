/* SPDX-License-Identifier: MIT */
#include "trust/leftover.h"

#include "base/array.h"

#include <stddef.h>
#include <string.h>

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

enum { RANDOM_LENGTH = 6 };

/* rsync(1), --partial-dir and --delay-updates; and what Windows puts on each disk. */
static const char *const directories[] = {".rsync-partial", ".~tmp~", "System Volume Information"};

bool leftover_is_of_rsync(const char *name)
{
    const char *end = strrchr(name, '.');

    if (name[0] != '.' || end < name + 2 || strlen(end + 1) != RANDOM_LENGTH ||
        strspn(end + 1, LOWER UPPER DIGITS) != RANDOM_LENGTH)
        return false;
    /* Letters with digits behind them: "backup", "Backup", "BACKUP", "old123". */
    const char *rest = end + 1 + strspn(end + 1, UPPER);
    if (rest <= end + 2)
        rest += strspn(rest, LOWER);
    return rest[strspn(rest, DIGITS)];
}

bool leftover_is_directory(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(directories); i++) {
        if (strcmp(name, directories[i]) == 0)
            return true;
    }
    return false;
}

bool leftover_is_name(const char *name)
{
    size_t length = strlen(name), end = strlen(LEFTOVER_SUFFIX);

    return leftover_is_directory(name) || strcmp(name, ".DS_Store") == 0 ||
           strncmp(name, LEFTOVER_PREFIX, strlen(LEFTOVER_PREFIX)) == 0 ||
           (length > end && strcmp(name + length - end, LEFTOVER_SUFFIX) == 0) ||
           leftover_is_of_rsync(name);
}

bool leftover_is_description(const char *path)
{
    return strcmp(path, DESCRIPTION_NAME) == 0;
}

bool leftover_is_path(const char *path)
{
    char part[256];
    size_t length;

    if (leftover_is_description(path))
        return true;
    for (; *path; path += length + (path[length] == '/')) {
        length = strcspn(path, "/");
        if (length >= sizeof part)
            continue;
        memcpy(part, path, length);
        part[length] = '\0';
        if (path[length] ? leftover_is_directory(part) : leftover_is_name(part))
            return true;
    }
    return false;
}

bool leftover_is_no_store(const char *name)
{
    return strcmp(name, "lost+found") == 0 || leftover_is_name(name);
}
