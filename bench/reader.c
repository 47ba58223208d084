/* SPDX-License-Identifier: MIT */
/*
 * Reads files as fast as it can, each in a thread of its own, all at the same time, and prints how
 * many bytes that were and how many seconds it took, from before the files are opened on.
 *
 *     reader read SIZE FILE...       from the beginning to the end, SIZE bytes at a time
 *     reader mmap 0 FILE...          the same, mapped
 *     reader random COUNT FILE...    COUNT times 4 KiB of each, from anywhere
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096 };

struct reader {
    pthread_t thread;
    const char *path;
    size_t number; /* SIZE or COUNT */
    int64_t (*read)(struct reader *reader, int fd);
    uint8_t *buffer;
    uint64_t sum; /* so that nothing that was mapped is left unread */
    int64_t bytes;
};

static pthread_barrier_t start;

static int64_t read_all(struct reader *reader, int fd)
{
    int64_t bytes = 0;
    ssize_t n;

    while ((n = read(fd, reader->buffer, reader->number)) > 0)
        bytes += n;
    return n < 0 ? -1 : bytes;
}

static int64_t read_mapped(struct reader *reader, int fd)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -1;
    size_t words = (size_t)status.st_size / sizeof(uint64_t);
    const uint64_t *map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return -1;
    for (size_t i = 0; i < words; i++)
        reader->sum += map[i];
    return (int64_t)status.st_size;
}

/* The same places in each run: xorshift, from a fixed beginning. */
static int64_t read_anywhere(struct reader *reader, int fd)
{
    uint64_t state = 88172645463325252u;
    int64_t bytes = 0;
    struct stat status;

    if (fstat(fd, &status) < 0 || status.st_size < PAGE)
        return -1;
    uint64_t pages = (uint64_t)status.st_size / PAGE;
    for (size_t i = 0; i < reader->number; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ssize_t n = pread(fd, reader->buffer, PAGE, (off_t)(state % pages * PAGE));
        if (n != PAGE)
            return -1;
        bytes += n;
    }
    return bytes;
}

static void *run(void *opaque)
{
    struct reader *reader = opaque;

    pthread_barrier_wait(&start);
    int fd = open(reader->path, O_RDONLY | O_CLOEXEC);
    reader->bytes = fd < 0 ? -1 : reader->read(reader, fd);
    if (reader->bytes < 0)
        perror(reader->path);
    return NULL;
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* With a buffer whose pages are there: what they cost is not the file's fault. */
static int begin(struct reader *reader, const char *how, const char *number, const char *path)
{
    *reader = (struct reader){.path = path, .number = strtoul(number, NULL, 10)};
    reader->read = strcmp(how, "mmap") == 0     ? read_mapped
                   : strcmp(how, "random") == 0 ? read_anywhere
                                                : read_all;
    size_t size = reader->read == read_all ? reader->number : PAGE;
    reader->buffer = malloc(size);
    if (!reader->buffer)
        return -1;
    memset(reader->buffer, 1, size);
    return -pthread_create(&reader->thread, NULL, run, reader);
}

int main(int count, char *words[])
{
    unsigned readers = count > 3 ? (unsigned)count - 3 : 0;
    struct reader *all = calloc(readers + 1, sizeof *all);
    int64_t bytes = 0;

    if (readers == 0 || !all) {
        fputs("usage: reader read|mmap|random NUMBER FILE...\n", stderr);
        return EXIT_FAILURE;
    }
    pthread_barrier_init(&start, NULL, readers + 1);
    for (unsigned i = 0; i < readers; i++) {
        if (begin(&all[i], words[1], words[2], words[3 + i]) < 0)
            return EXIT_FAILURE;
    }
    pthread_barrier_wait(&start);
    double began = now();
    for (unsigned i = 0; i < readers; i++) {
        pthread_join(all[i].thread, NULL);
        if (all[i].bytes < 0)
            return EXIT_FAILURE;
        bytes += all[i].bytes;
    }
    printf("%lld %.9f\n", (long long)bytes, now() - began);
    return EXIT_SUCCESS;
}
