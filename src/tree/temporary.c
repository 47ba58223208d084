/* SPDX-License-Identifier: MIT */
#include "tree/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

void temporary_name(char ret[TEMPORARY_NAME_SIZE])
{
    uint64_t number;

    /* Eight bytes are there at once and whole, once the kernel has any; see getrandom(2). */
    while (getrandom(&number, sizeof number, 0) < 0) {
    }
    snprintf(ret, TEMPORARY_NAME_SIZE, TEMPORARY_PREFIX "%016" PRIx64, number);
}

bool temporary_is_name(const char *name)
{
    size_t length = strlen(TEMPORARY_PREFIX);

    return strncmp(name, TEMPORARY_PREFIX, length) == 0 && strlen(name) == length + 16 &&
           strspn(name + length, "0123456789abcdef") == 16;
}

int temporary_file(int directory, char ret_name[TEMPORARY_NAME_SIZE], int *ret_fd)
{
    temporary_name(ret_name);
    int fd = openat(directory, ret_name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

int temporary_rename(int directory, const char *temporary, const char *name)
{
    int r = renameat(directory, temporary, directory, name) < 0 ? -errno : 0;

    if (r == -EISDIR && unlinkat(directory, name, AT_REMOVEDIR) == 0)
        r = renameat(directory, temporary, directory, name) < 0 ? -errno : 0;
    if (r < 0)
        unlinkat(directory, temporary, 0);
    return r;
}
