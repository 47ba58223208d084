/* SPDX-License-Identifier: MIT */
#include "tree/temporary.h"

#include "tree/remove.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static uint64_t first_number;

static void choose_first_number(void)
{
    /* Eight bytes are there at once and whole, once the kernel has any; see getrandom(2). */
    while (getrandom(&first_number, sizeof first_number, 0) < 0) {
    }
}

void temporary_name(char ret[TEMPORARY_NAME_SIZE])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static atomic_uint_fast64_t count;

    pthread_once(&once, choose_first_number);
    uint64_t number = first_number + atomic_fetch_add(&count, 1);
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

static int make_way(int directory, const char *name, bool remove)
{
    if (remove)
        return remove_all(directory, name);
    return unlinkat(directory, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int temporary_rename(int directory, const char *temporary, const char *name, bool remove)
{
    int r = renameat(directory, temporary, directory, name) < 0 ? -errno : 0;

    if (r == -EISDIR) {
        r = make_way(directory, name, remove);
        if (r == 0 && renameat(directory, temporary, directory, name) < 0)
            r = -errno;
    }
    if (r < 0)
        unlinkat(directory, temporary, 0);
    return r;
}
