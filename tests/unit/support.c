/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LIMIT_S = 100,
    THREADS_MAX = 64,
    EXIT_CANNOT = 77,
};

static uint64_t random_state;

int support_set_up(void **state)
{
    const char *seed = getenv("ZFEC_FS_TEST_SEED");
    char from_clock[32];
    struct timespec now;

    alarm(LIMIT_S);
    if (!seed || !*seed) {
        clock_gettime(CLOCK_REALTIME, &now);
        snprintf(from_clock, sizeof from_clock, "%ld",
                 now.tv_sec % 1000000 * 1000 + now.tv_nsec % 1000);
        seed = from_clock;
    }
    printf("seed: %s (repeat with ZFEC_FS_TEST_SEED=%s)\n", seed, seed);
    fflush(stdout);
    for (random_state = 0; *seed; seed++)
        random_state = random_state * 257 + (unsigned char)*seed;
    return 0;
}

/* splitmix64, Sebastiano Vigna's. */
uint64_t random_next(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t random_below(uint64_t limit)
{
    return random_next() % limit;
}

uint64_t random_between(uint64_t first, uint64_t last)
{
    return first + random_below(last - first + 1);
}

void random_fill(uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)random_next();
}

void random_indices(unsigned count, unsigned limit, uint8_t ret[])
{
    uint8_t all[256];

    for (unsigned i = 0; i < limit; i++)
        all[i] = (uint8_t)i;
    for (unsigned i = 0; i < count; i++) {
        uint64_t chosen = random_between(i, limit - 1);
        ret[i] = all[chosen];
        all[chosen] = all[i];
    }
}

uint8_t *exact_bytes(size_t size)
{
    uint8_t *bytes = malloc(size);

    if (!bytes && size > 0)
        abort();
    return bytes;
}

uint8_t *exact_copy(const void *data, size_t size)
{
    uint8_t *bytes = exact_bytes(size);

    if (size > 0)
        memcpy(bytes, data, size);
    return bytes;
}

void first_subset(unsigned count, uint8_t subset[])
{
    for (unsigned i = 0; i < count; i++)
        subset[i] = (uint8_t)i;
}

bool next_subset(unsigned count, unsigned limit, uint8_t subset[])
{
    unsigned i = count;

    while (i > 0 && subset[i - 1] == limit - count + i - 1)
        i--;
    if (i == 0)
        return false;
    subset[i - 1]++;
    for (; i < count; i++)
        subset[i] = (uint8_t)(subset[i - 1] + 1);
    return true;
}

struct thread {
    pthread_t id;
    pthread_barrier_t *start;
    void (*function)(void *shared, unsigned number);
    void *shared;
    unsigned number;
};

static void *run_thread(void *argument)
{
    const struct thread *thread = argument;

    pthread_barrier_wait(thread->start);
    thread->function(thread->shared, thread->number);
    return NULL;
}

void in_threads(unsigned count, void (*function)(void *shared, unsigned number), void *shared)
{
    struct thread threads[THREADS_MAX];
    pthread_barrier_t start;

    if (count > THREADS_MAX || pthread_barrier_init(&start, NULL, count) != 0)
        abort();
    for (unsigned i = 0; i < count; i++) {
        threads[i] =
            (struct thread){.start = &start, .function = function, .shared = shared, .number = i};
        if (pthread_create(&threads[i].id, NULL, run_thread, &threads[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i].id, NULL);
    pthread_barrier_destroy(&start);
}

void assert_passes_with(int prepare(void), const char *argument)
{
    int status;

    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (prepare() < 0)
            _exit(EXIT_CANNOT);
        execl("/proc/self/exe", "test", argument, NULL);
        _exit(EXIT_FAILURE);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == EXIT_CANNOT)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    ssize_t written = write(fd, text, strlen(text));
    close(fd);
    return written == (ssize_t)strlen(text) ? 0 : -EPERM;
}

/* Root of a name space of users, in which there is nobody else. */
static int become_root(void)
{
    char users[32], groups[32];

    snprintf(users, sizeof users, "0 %u 1", geteuid());
    snprintf(groups, sizeof groups, "0 %u 1", getegid());
    if (unshare(CLONE_NEWUSER) < 0)
        return -errno;
    int r = write_text("/proc/self/setgroups", "deny");
    if (r == 0)
        r = write_text("/proc/self/uid_map", users);
    return r == 0 ? write_text("/proc/self/gid_map", groups) : r;
}

int allow_mounts(void)
{
    if (geteuid() != 0 && become_root() < 0)
        return -EPERM;
    if (unshare(CLONE_NEWNS) < 0)
        return -errno;
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? -errno : 0;
}

/* A sanitizer's malloc counts in its own way; this is not there without one. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

bool is_sanitized(void)
{
    return __sanitizer_get_current_allocated_bytes;
}

size_t bytes_in_use(void)
{
    struct mallinfo2 info = mallinfo2();

    if (is_sanitized())
        return __sanitizer_get_current_allocated_bytes();
    return info.uordblks + info.hblkhd;
}
