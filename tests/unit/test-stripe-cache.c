/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "view/view_file.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum {
    ENTRY_SIZE = 10000,
    STRIPES = 200,
    ENTRIES_MAX = 16, /* "a few": no more memory than so many entries */
};

/* The file whose stripes are made, and what a test wants to know of, or do to, the makers. */
struct file {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned made[STRIPES], inside, most_inside;
    unsigned wait_inside;  /* a maker waits until so many are inside at once */
    unsigned wait_callers; /* a maker waits until so many callers are on their way */
    unsigned callers;
    int error; /* what makers return */
    unsigned wrong;
    const uint8_t *places[ENTRIES_MAX + 1]; /* where makers were to write */
    unsigned place_count;
};

static uint8_t byte_of(uint64_t stripe, size_t at)
{
    return (uint8_t)(stripe * 131 + at * 7 + at / 256);
}

static void remember_place(struct file *file, const uint8_t *data)
{
    unsigned p = 0;

    while (p < file->place_count && file->places[p] != data)
        p++;
    if (p == file->place_count && p < COUNT_OF(file->places))
        file->places[file->place_count++] = data;
}

/* Waits, ten seconds at most, until *COUNT is at least NEEDED. */
static void wait_for(struct file *file, const unsigned *count, unsigned needed)
{
    struct timespec end;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 10;
    while (*count < needed) {
        if (pthread_cond_timedwait(&file->changed, &file->lock, &end) != 0)
            return;
    }
}

static int make(void *argument, uint64_t stripe, uint8_t *data)
{
    struct file *file = argument;

    pthread_mutex_lock(&file->lock);
    file->made[stripe]++;
    remember_place(file, data);
    if (++file->inside > file->most_inside)
        file->most_inside = file->inside;
    pthread_cond_broadcast(&file->changed);
    wait_for(file, &file->most_inside, file->wait_inside);
    wait_for(file, &file->callers, file->wait_callers);
    int error = file->error;
    pthread_mutex_unlock(&file->lock);

    /* Callers that are on their way get in line meanwhile. */
    if (file->wait_callers > 0)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    for (size_t i = 0; i < ENTRY_SIZE; i++)
        data[i] = byte_of(stripe, i);

    pthread_mutex_lock(&file->lock);
    file->inside--;
    pthread_mutex_unlock(&file->lock);
    return error;
}

#define FILE_OF_STRIPES                                                                            \
    ((struct file){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER})

static struct stripe_cache *new_cache(struct file *file)
{
    struct stripe_cache *cache;

    assert_int_equal(stripe_cache_new(ENTRY_SIZE, 0, make, file, &cache), 0);
    return cache;
}

/* Reads into memory of that very size; whether the bytes are right. */
static int read_some(struct stripe_cache *cache, uint64_t stripe, size_t from, size_t size,
                     bool *right)
{
    uint8_t *data = exact_bytes(size);

    *right = true;
    int r = stripe_cache_read(cache, stripe, from, size, data);
    for (size_t i = 0; i < size && r == 0; i++)
        *right &= data[i] == byte_of(stripe, from + i);
    free(data);
    return r;
}

static void assert_read(struct stripe_cache *cache, uint64_t stripe, size_t from, size_t size)
{
    bool right;

    assert_int_equal(read_some(cache, stripe, from, size, &right), 0);
    assert_true(right);
}

static void test_bytes(void **state)
{
    struct file file = FILE_OF_STRIPES;
    cleanup_stripe_cache struct stripe_cache *cache = new_cache(&file);

    for (unsigned round = 0; round < 20000; round++) {
        size_t from = random_below(ENTRY_SIZE), size = random_below(ENTRY_SIZE - from + 1);
        assert_read(cache, random_below(STRIPES), from, size);
    }
    assert_read(cache, 0, 0, ENTRY_SIZE);
    assert_read(cache, 0, ENTRY_SIZE - 1, 1);
    assert_read(cache, 0, ENTRY_SIZE, 0);
}

static void test_unused_cache(void **state)
{
    struct file file = FILE_OF_STRIPES;
    struct stripe_cache *cache = new_cache(&file);

    stripe_cache_free(cache);
    assert_int_equal(file.place_count, 0);
}

static void assert_each_made_once(const struct file *file)
{
    for (unsigned s = 0; s < STRIPES; s++)
        assert_int_equal(file->made[s], 1);
}

static void test_sequential(void **state)
{
    struct file file = FILE_OF_STRIPES;
    cleanup_stripe_cache struct stripe_cache *cache = new_cache(&file);

    for (unsigned s = 0; s < STRIPES; s++) {
        for (size_t from = 0; from < ENTRY_SIZE; from += 1000)
            assert_read(cache, s, from, 1000);
    }
    assert_each_made_once(&file);
    assert_true(file.place_count <= 2);
}

static void test_straddling(void **state)
{
    struct file file = FILE_OF_STRIPES;
    cleanup_stripe_cache struct stripe_cache *cache = new_cache(&file);

    for (unsigned s = 0; s + 1 < STRIPES; s++) {
        for (size_t from = 0; from < ENTRY_SIZE; from += 1000) {
            assert_read(cache, s, from, 1000);
            assert_read(cache, s + 1, from, 1000);
        }
    }
    assert_each_made_once(&file);
    assert_true(file.place_count <= 2);
}

/* The one that was not asked for the longest is given up, not the one made first. */
static void test_last_used_is_kept(void **state)
{
    struct file file = FILE_OF_STRIPES;
    cleanup_stripe_cache struct stripe_cache *cache = new_cache(&file);

    assert_read(cache, 0, 0, 10);
    for (unsigned s = 1; s < STRIPES; s++) {
        assert_read(cache, s, 0, 10);
        assert_read(cache, 0, 0, 10);
    }
    assert_each_made_once(&file);
}

/* Where all of a stripe is wanted, it is made there, and takes no memory. */
static void test_whole_stripes(void **state)
{
    struct file file = FILE_OF_STRIPES;
    cleanup_stripe_cache struct stripe_cache *cache = new_cache(&file);
    uint8_t *data = exact_bytes(ENTRY_SIZE);

    assert_int_equal(stripe_cache_read(cache, 3, 0, ENTRY_SIZE, data), 0);
    assert_int_equal(file.place_count, 1);
    assert_ptr_equal(file.places[0], data);
    free(data);
    assert_read(cache, 4, 0, 10);
    assert_read(cache, 4, 0, ENTRY_SIZE);
    assert_int_equal(file.made[4], 1);
}

struct callers {
    struct file *file;
    struct stripe_cache *cache;
    unsigned stripes; /* caller c reads stripe c % stripes */
    unsigned rounds;
    atomic_uint good, failed, wrong, at_once;
};

static void read_as_caller(void *argument, unsigned number)
{
    struct callers *callers = argument;

    pthread_mutex_lock(&callers->file->lock);
    callers->file->callers++;
    pthread_cond_broadcast(&callers->file->changed);
    pthread_mutex_unlock(&callers->file->lock);
    for (unsigned round = 0; round < callers->rounds; round++) {
        bool right;
        int r = read_some(callers->cache, (number + round) % callers->stripes, round % 9000, 900,
                          &right);
        callers->good += r == 0;
        callers->failed += r == -EIO;
        callers->wrong += !right || (r != 0 && r != -EIO);
    }
}

/* COUNT threads that read ROUNDS times. */
static void run_callers(struct callers *callers, struct file *file, struct stripe_cache *cache,
                        unsigned count)
{
    callers->file = file;
    callers->cache = cache;
    in_threads(count, read_as_caller, callers);
    assert_int_equal(callers->wrong, 0);
    assert_int_equal(callers->good + callers->failed, count * callers->rounds);
}

static void test_different_stripes_in_parallel(void **state)
{
    struct file file = FILE_OF_STRIPES;
    cleanup_stripe_cache struct stripe_cache *cache = new_cache(&file);
    struct callers callers = {.stripes = 2, .rounds = 1};

    file.wait_inside = 2;
    run_callers(&callers, &file, cache, 2);
    assert_int_equal(file.most_inside, 2);
    assert_int_equal(callers.good, 2);
}

/* A stripe that is there is read while another one is in the making. */
static void read_ready_stripe(void *argument, unsigned number)
{
    struct callers *callers = argument;
    struct file *file = callers->file;
    bool right = false;

    if (number == 0) {
        callers->wrong += read_some(callers->cache, 1, 0, 100, &right) != 0;
        return;
    }
    pthread_mutex_lock(&file->lock);
    wait_for(file, &file->made[1], 1);
    pthread_mutex_unlock(&file->lock);
    callers->wrong += read_some(callers->cache, 0, 0, 100, &right) != 0 || !right;
    pthread_mutex_lock(&file->lock);
    callers->good = file->inside;
    file->callers++;
    pthread_cond_broadcast(&file->changed);
    pthread_mutex_unlock(&file->lock);
}

static void test_slow_maker_holds_up_no_other(void **state)
{
    struct file file = FILE_OF_STRIPES;
    cleanup_stripe_cache struct stripe_cache *cache = new_cache(&file);
    struct callers callers = {.file = &file, .cache = cache};

    assert_read(cache, 0, 0, 100);
    file.wait_callers = 1;
    in_threads(2, read_ready_stripe, &callers);
    assert_int_equal(callers.wrong, 0);
    assert_int_equal(callers.good, 1); /* the slow maker was still inside by then */
    assert_int_equal(file.made[0], 1);
}

static void test_one_maker_for_one_stripe(void **state)
{
    for (unsigned round = 0; round < 5; round++) {
        struct file file = FILE_OF_STRIPES;
        cleanup_stripe_cache struct stripe_cache *cache = new_cache(&file);
        struct callers callers = {.stripes = 1, .rounds = 1};
        file.wait_callers = 16;
        run_callers(&callers, &file, cache, 16);
        assert_int_equal(callers.good, 16);
        assert_int_equal(file.made[0], 1);
    }
}

static void test_error_is_not_kept(void **state)
{
    struct file file = FILE_OF_STRIPES;
    cleanup_stripe_cache struct stripe_cache *cache = new_cache(&file);
    bool right;

    file.error = -EBADMSG;
    for (unsigned round = 0; round < 100; round++)
        assert_int_equal(read_some(cache, round % 7, 0, 10, &right), -EBADMSG);
    for (unsigned s = 0; s < 7; s++)
        assert_true(file.made[s] >= 14);
    file.error = -ENOMEM;
    assert_int_equal(read_some(cache, 0, 0, 10, &right), -ENOMEM);
    file.error = 0;
    file.made[1] = 0;
    assert_read(cache, 1, 0, 10);
    assert_read(cache, 1, 10, 10);
    assert_int_equal(file.made[1], 1);
}

/* An error takes nothing from the other stripes. */
static void test_error_beside_good_ones(void **state)
{
    struct file file = FILE_OF_STRIPES;
    cleanup_stripe_cache struct stripe_cache *cache = new_cache(&file);
    bool right;

    assert_read(cache, 0, 0, 10);
    file.error = -EIO;
    for (unsigned round = 0; round < 20; round++) {
        assert_int_equal(read_some(cache, 1, 0, 10, &right), -EIO);
        assert_read(cache, 0, 0, 10);
    }
    assert_int_equal(file.made[0], 1);
}

static void test_error_goes_to_all_callers(void **state)
{
    struct file file = FILE_OF_STRIPES;
    cleanup_stripe_cache struct stripe_cache *cache = new_cache(&file);
    struct callers callers = {.stripes = 1, .rounds = 1};

    file.error = -EIO;
    file.wait_callers = 8;
    run_callers(&callers, &file, cache, 8);
    assert_int_equal(callers.failed, 8);
    file.error = 0;
    assert_read(cache, 0, 0, ENTRY_SIZE);
}

static void test_more_stripes_than_entries(void **state)
{
    struct file file = FILE_OF_STRIPES;
    cleanup_stripe_cache struct stripe_cache *cache = new_cache(&file);
    struct callers callers = {.stripes = STRIPES, .rounds = 300};

    run_callers(&callers, &file, cache, 48);
    assert_int_equal(callers.failed, 0);
    assert_true(file.place_count <= ENTRIES_MAX);
}

/* All callers wait for an entry before one becomes free, and each gets one in the end. */
static void test_crowd(void **state)
{
    struct file file = FILE_OF_STRIPES;
    cleanup_stripe_cache struct stripe_cache *cache = new_cache(&file);
    struct callers callers = {.stripes = 64, .rounds = 1};

    file.wait_callers = 64;
    run_callers(&callers, &file, cache, 64);
    assert_int_equal(callers.failed, 0);
    assert_true(file.most_inside >= 2);
    assert_true(file.place_count <= ENTRIES_MAX);
}

static void test_crowd_with_errors(void **state)
{
    struct file file = FILE_OF_STRIPES;
    cleanup_stripe_cache struct stripe_cache *cache = new_cache(&file);
    struct callers callers = {.stripes = 64, .rounds = 1};

    file.wait_callers = 64;
    file.error = -EIO;
    run_callers(&callers, &file, cache, 64);
    assert_int_equal(callers.failed, 64);
}

/*
 * Readers that are held up in the middle of copying: they copy to pages that may not be written
 * to, and whoever does so waits in the signal's handler until all are let go.
 */
enum { HELD_READERS = 24, PAGE = 4096 };

static struct {
    uint8_t *pages; /* one for each reader */
    atomic_uint held;
    atomic_bool released;
} guard;

static void nap(long milliseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL);
}

static void hold_writer(int number, siginfo_t *info, void *context)
{
    size_t at = (size_t)((uint8_t *)info->si_addr - guard.pages);

    if (at >= HELD_READERS * PAGE) {
        signal(SIGSEGV, SIG_DFL); /* none of ours: the program is to die of it */
        return;
    }
    guard.held++;
    while (!guard.released)
        nap(1);
    mprotect(guard.pages + at / PAGE * PAGE, PAGE, PROT_READ | PROT_WRITE);
}

/* Thread 0 lets go when no more readers get to copying. */
static void read_or_release(void *argument, unsigned number)
{
    struct callers *callers = argument;

    if (number > 0) {
        uint8_t *page = guard.pages + (number - 1) * PAGE;
        callers->wrong += stripe_cache_read(callers->cache, number, 0, 100, page) != 0;
        callers->wrong += page[99] != byte_of(number, 99);
        callers->good++;
        return;
    }
    for (unsigned before = 0, same = 0; same < 50 || before == 0; nap(1)) {
        same = guard.held == before ? same + 1 : 0;
        before = guard.held;
    }
    callers->at_once = guard.held;
    guard.released = true;
}

/* While they copy nobody else is held up; when they are through those who waited come in. */
static void test_slow_readers(void **state)
{
    struct sigaction held = {.sa_sigaction = hold_writer, .sa_flags = SA_SIGINFO}, before;
    struct file file = FILE_OF_STRIPES;
    cleanup_stripe_cache struct stripe_cache *cache = new_cache(&file);
    struct callers callers = {.file = &file, .cache = cache};

    guard.pages = mmap(NULL, HELD_READERS * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(guard.pages, MAP_FAILED);
    sigaction(SIGSEGV, &held, &before);
    in_threads(HELD_READERS + 1, read_or_release, &callers);
    sigaction(SIGSEGV, &before, NULL);
    munmap(guard.pages, HELD_READERS * PAGE);
    assert_int_equal(callers.wrong, 0);
    assert_int_equal(callers.good, HELD_READERS);
    assert_in_range(callers.at_once, 2, ENTRIES_MAX);
}

/* Many caches, which are read in turn by several threads. */
enum { LARGE_ENTRY = 1 << 20, CACHES = 200, CACHES_BYTES = 64 << 20 };

struct crowd {
    struct stripe_cache *caches[CACHES];
    atomic_uint wrong;
};

static int make_large(void *argument, uint64_t stripe, uint8_t *data)
{
    memset(data, (uint8_t)stripe, LARGE_ENTRY);
    return 0;
}

static void read_crowd(void *argument, unsigned number)
{
    struct crowd *crowd = argument;

    for (unsigned round = 0; round < 400; round++) {
        uint64_t stripe = round % 7;
        uint8_t byte = 99;
        struct stripe_cache *cache = crowd->caches[(number * 31 + round) % CACHES];
        int r = stripe_cache_read(cache, stripe, round, 1, &byte);
        crowd->wrong += r != 0 || byte != (uint8_t)stripe;
    }
}

static void test_memory_of_all_caches(void **state)
{
    struct crowd crowd = {.wrong = 0};
    size_t before = bytes_in_use();

    for (unsigned i = 0; i < CACHES; i++)
        assert_int_equal(stripe_cache_new(LARGE_ENTRY, 0, make_large, NULL, &crowd.caches[i]), 0);
    in_threads(4, read_crowd, &crowd);
    assert_int_equal(crowd.wrong, 0);
    if (!is_sanitized()) /* with the buffers that are kept for others */
        assert_true(bytes_in_use() - before < CACHES_BYTES + (34 << 20));
    for (unsigned i = 0; i < CACHES; i++)
        stripe_cache_free(crowd.caches[(i * 7 + 3) % CACHES]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_unused_cache),
        cmocka_unit_test(test_sequential),
        cmocka_unit_test(test_straddling),
        cmocka_unit_test(test_last_used_is_kept),
        cmocka_unit_test(test_whole_stripes),
        cmocka_unit_test(test_different_stripes_in_parallel),
        cmocka_unit_test(test_slow_maker_holds_up_no_other),
        cmocka_unit_test(test_one_maker_for_one_stripe),
        cmocka_unit_test(test_error_is_not_kept),
        cmocka_unit_test(test_error_beside_good_ones),
        cmocka_unit_test(test_error_goes_to_all_callers),
        cmocka_unit_test(test_more_stripes_than_entries),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_crowd_with_errors),
        cmocka_unit_test(test_slow_readers),
        cmocka_unit_test(test_memory_of_all_caches),
    };

    return cmocka_run_group_tests_name("stripe_cache", tests, support_set_up, NULL);
}
