/* SPDX-License-Identifier: MIT */
#include "sync/address.h"

#include "base/names.h"

#include <stdio.h>
#include <string.h>

#define DAEMON "rsync://"

enum address_kind address_kind(const char *target)
{
    if (*target == '/')
        return ADDRESS_LOCAL;
    if (strncmp(target, DAEMON, strlen(DAEMON)) == 0 || strstr(target, "::"))
        return ADDRESS_DAEMON;
    return ADDRESS_SSH;
}

const char *address_mistake(const char *target, bool is_of_rsync)
{
    bool is_url = strncmp(target, DAEMON, strlen(DAEMON)) == 0;
    const char *host = is_url ? target + strlen(DAEMON) : target; /* USER@HOST:PATH */
    const char *end = host + strcspn(host, is_url ? "/" : ":");

    if (*target == '-')
        return "write a target that does not begin with \"-\"";
    for (const char *at = target; *at; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return "write it without control characters";
    }
    if (!is_of_rsync)
        return *target == '/' || !strchr(target, ':')
                   ? "write REMOTE:PATH; for a directory of this machine write rsync = instead"
                   : NULL;
    if (*target == '/')
        return path_goes_up(target) ? "write a path without .." : NULL;
    if (!end[0] || !end[1] || memchr(host, '/', (size_t)(end - host)))
        return "write HOST:PATH, rsync://HOST/MODULE/PATH or an absolute path";
    const char *at = memrchr(host, '@', (size_t)(end - host));
    if (at)
        host = at + 1;
    /* ssh would take a host that begins with a - for an option. */
    return host == end || *host == '-' ? "write a host that does not begin with \"-\"" : NULL;
}

static size_t length_of(const char *target)
{
    size_t length = strlen(target);

    while (length > 1 && target[length - 1] == '/')
        length--;
    return length;
}

int address_above(const char *target, char **ret)
{
    bool is_url = strncmp(target, DAEMON, strlen(DAEMON)) == 0;
    const char *path = is_url ? strchrnul(target + strlen(DAEMON), '/') + 1 : target;
    const char *end = target + length_of(target);
    const char *slash = path < end ? memrchr(path, '/', (size_t)(end - path)) : NULL;
    int length = (int)((slash ? slash : end) - target);
    const char *home = "";

    if (!slash && address_kind(target) == ADDRESS_SSH) { /* HOST:NAME */
        length = (int)(strchr(target, ':') + 1 - target);
        home = ".";
    }
    return asprintf(ret, "%.*s%s", length, target, home) < 0 ? -ENOMEM : 0;
}

bool addresses_overlap(const char *one, const char *other)
{
    size_t length = length_of(one), other_length = length_of(other);
    const char *longer = length < other_length ? other : one;
    size_t shorter = length < other_length ? length : other_length;

    return strncmp(one, other, shorter) == 0 &&
           (longer[shorter] == '\0' || longer[shorter] == '/' || strchr(":/", longer[shorter - 1]));
}
