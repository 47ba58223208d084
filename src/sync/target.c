/* SPDX-License-Identifier: MIT */
#include "sync/target.h"

#include <string.h>

#define DAEMON "rsync://"

enum target_kind target_kind(const char *target)
{
    if (*target == '/')
        return TARGET_LOCAL;
    if (strncmp(target, DAEMON, strlen(DAEMON)) == 0 || strstr(target, "::"))
        return TARGET_DAEMON;
    return TARGET_SSH;
}

static bool has_control(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return true;
    }
    return false;
}

static const char *local_mistake(const char *target)
{
    size_t length = strlen(target);
    bool climbs = strstr(target, "/../") || (length >= 3 && !strcmp(target + length - 3, "/.."));

    return climbs ? "write a path without .." : NULL;
}

/* USER@HOST:PATH. ssh would take a host that begins with a - for an option. */
static const char *rsync_mistake(const char *target)
{
    const char *host =
        strncmp(target, DAEMON, strlen(DAEMON)) == 0 ? target + strlen(DAEMON) : target;
    size_t length = strcspn(host, host == target ? ":" : "/");
    const char *at = memrchr(host, '@', length);

    if (*target == '/')
        return local_mistake(target);
    if (host[length] == '\0' || host[length + 1] == '\0' || memchr(host, '/', length))
        return "write HOST:PATH, rsync://HOST/MODULE/PATH or an absolute path";
    if (at) {
        length -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    if (length == 0 || *host == '-')
        return "write a host that does not begin with \"-\"";
    return NULL;
}

const char *target_mistake(const char *target, enum mover mover)
{
    if (*target == '-')
        return "write a target that does not begin with \"-\"";
    if (has_control(target))
        return "write it without control characters";
    if (mover == MOVER_RSYNC)
        return rsync_mistake(target);
    if (*target == '/' || !strchr(target, ':'))
        return "write REMOTE:PATH; for a directory of this machine write rsync = instead";
    return NULL;
}

static size_t length_of(const char *target)
{
    size_t length = strlen(target);

    while (length > 1 && target[length - 1] == '/')
        length--;
    return length;
}

bool targets_overlap(const char *one, const char *other)
{
    size_t length = length_of(one), other_length = length_of(other);
    const char *longer = length < other_length ? other : one;
    size_t shorter = length < other_length ? length : other_length;

    return strncmp(one, other, shorter) == 0 &&
           (longer[shorter] == '\0' || longer[shorter] == '/' || strchr(":/", longer[shorter - 1]));
}
