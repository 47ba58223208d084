/* SPDX-License-Identifier: MIT */
#include "tree/mounts.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

/* The types, and the beginnings of types, as /proc/self/mountinfo has them. */
static const char *const remote[] = {
    "fuse", "nfs", "cifs", "smb", "9p", "ceph", "afs", "coda", "lustre", "gpfs", "ncpfs",
};

static bool is_remote_type(const char *type)
{
    for (size_t i = 0; i < sizeof remote / sizeof *remote; i++) {
        if (strncmp(type, remote[i], strlen(remote[i])) == 0)
            return true;
    }
    return false;
}

static void close_file(FILE **file)
{
    if (*file)
        fclose(*file);
}

/* A line of the table. */
struct mount {
    dev_t device;
    char *point;
    const char *type;
};

/* Turns the \040 and the like of the table back into the bytes that they stand for. */
static void unescape(char *text)
{
    char *end = text;

    for (; *text; text++) {
        unsigned byte;
        if (text[0] == '\\' && sscanf(text + 1, "%3o", &byte) == 1) {
            *end++ = (char)byte;
            text += 3;
        } else {
            *end++ = *text;
        }
    }
    *end = '\0';
}

/* Reads "36 35 98:0 /root /point options - type source ..."; see proc(5). */
static bool read_mount(char *line, struct mount *ret)
{
    unsigned major_number, minor_number;
    int start, end;
    const char *type = strstr(line, " - ");

    if (!type ||
        sscanf(line, "%*d %*d %u:%u %*s %n%*s%n", &major_number, &minor_number, &start, &end) != 2)
        return false;
    line[end] = '\0';
    unescape(line + start);
    *ret = (struct mount){makedev(major_number, minor_number), line + start, type + 3};
    return true;
}

static bool leads_to(const char *path, const char *point)
{
    size_t length = strcmp(point, "/") == 0 ? 0 : strlen(point);

    return strncmp(path, point, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

bool mounts_is_remote(dev_t device)
{
    CLEANUP(close_file) FILE *table = fopen("/proc/self/mountinfo", "re");
    cleanup_free char *line = NULL;
    struct mount mount;
    size_t room = 0;

    while (table && getline(&line, &room, table) >= 0) {
        if (read_mount(line, &mount) && mount.device == device)
            return is_remote_type(mount.type);
    }
    return false;
}

bool mounts_is_at(dev_t device, const char *path)
{
    CLEANUP(close_file) FILE *table = fopen("/proc/self/mountinfo", "re");
    cleanup_free char *line = NULL;
    struct mount mount;
    size_t room = 0, longest = 0;
    bool found = false;

    while (table && getline(&line, &room, table) >= 0) {
        /* Of those on the way the longest counts, and the last one of these: it lies on top. */
        if (!read_mount(line, &mount) || !leads_to(path, mount.point) ||
            strlen(mount.point) < longest)
            continue;
        longest = strlen(mount.point);
        found = mount.device == device;
    }
    return found;
}
