/* SPDX-License-Identifier: MIT */
#include "tree/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static uint64_t first_number;

/* Names have to be new, not secret: where a sandbox denies random numbers, the process and the time
 * make one that no other process of this machine gets. */
static void choose_first_number(void)
{
    struct timespec now;

    if (getrandom(&first_number, sizeof first_number, 0) == sizeof first_number)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    first_number =
        ((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec) ^ ((uint64_t)getpid() << 40);
}

void temporary_name(char ret[TEMPORARY_NAME_SIZE])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static atomic_uint_fast64_t count;

    pthread_once(&once, choose_first_number);
    uint64_t number = first_number + atomic_fetch_add(&count, 1);
    snprintf(ret, TEMPORARY_NAME_SIZE, LEFTOVER_PREFIX "%016" PRIx64, number);
}

bool temporary_is_name(const char *name)
{
    size_t length = strlen(LEFTOVER_PREFIX);

    return strncmp(name, LEFTOVER_PREFIX, length) == 0 && strlen(name) == length + 16 &&
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
