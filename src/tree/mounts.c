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

bool mounts_is_remote(dev_t device)
{
    CLEANUP(close_file) FILE *table = fopen("/proc/self/mountinfo", "re");
    cleanup_free char *line = NULL;
    size_t room = 0;

    while (table && getline(&line, &room, table) >= 0) {
        unsigned major_number, minor_number;
        /* "36 35 98:0 /root /point options - type source ..."; see proc(5) */
        const char *type = strstr(line, " - ");
        if (type && sscanf(line, "%*d %*d %u:%u", &major_number, &minor_number) == 2 &&
            makedev(major_number, minor_number) == device)
            return is_remote_type(type + 3);
    }
    return false;
}
