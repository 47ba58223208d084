/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "base/buffer.h"

#include <stdatomic.h>
#include <string.h>

enum { PAGE = 4096 };

static void assert_good(const struct buffer *buffer, size_t size)
{
    assert_non_null(buffer->data);
    assert_int_equal((uintptr_t)buffer->data % PAGE, 0);
    assert_true(buffer->size >= size);
}

static void test_sizes(void **state)
{
    static const size_t sizes[] = {
        1,     2,     4095,   4096,          4097,    8191,          8192,           8193,
        65536, 65568, 100000, (1 << 24) - 1, 1 << 24, (1 << 24) + 1, (3 << 24) + 17,
    };

    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        for (unsigned round = 0; round < 2; round++) {
            cleanup_buffer struct buffer buffer = NO_BUFFER;
            assert_int_equal(buffer_take(sizes[s], &buffer), 0);
            assert_good(&buffer, sizes[s]);
            memset(buffer.data, 0x5a, buffer.size);
        }
    }
}

static void test_nothing_to_give(void **state)
{
    struct buffer buffer = NO_BUFFER;

    buffer_give(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer_take(10, &buffer), 0);
    buffer_give(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.size, 0);
    buffer_give(&buffer);
}

static void test_used_again(void **state)
{
    for (size_t size = 1; size <= 1 << 24; size = size * 3 + 1) {
        struct buffer buffer = NO_BUFFER;
        assert_int_equal(buffer_take(size, &buffer), 0);
        const uint8_t *first = buffer.data;
        buffer_give(&buffer);
        assert_int_equal(buffer_take(size, &buffer), 0);
        assert_ptr_equal(buffer.data, first);
        buffer_give(&buffer);
    }
}

/* What lies idle may be too small. */
static void test_growing_and_shrinking(void **state)
{
    for (unsigned round = 0; round < 3000; round++) {
        struct buffer held[4] = {NO_BUFFER, NO_BUFFER, NO_BUFFER, NO_BUFFER};
        for (size_t b = 0; b < COUNT_OF(held); b++) {
            size_t size = random_between(1, UINT64_C(1) << random_below(18));
            assert_int_equal(buffer_take(size, &held[b]), 0);
            assert_good(&held[b], size);
            memset(held[b].data, (int)b, held[b].size);
        }
        for (size_t b = 0; b < COUNT_OF(held); b++) {
            assert_int_equal(held[b].data[0], b);
            assert_int_equal(held[b].data[held[b].size - 1], b);
            buffer_give(&held[b]);
        }
    }
}

static void test_idle_memory_is_bounded(void **state)
{
    enum { COUNT = 100, SIZE = 1 << 20, IDLE_MAX = 34 << 20 };
    struct buffer held[COUNT] = {0};
    size_t before = bytes_in_use();

    for (size_t b = 0; b < COUNT; b++)
        assert_int_equal(buffer_take(SIZE, &held[b]), 0);
    assert_true(bytes_in_use() > before + IDLE_MAX);
    for (size_t b = 0; b < COUNT; b++)
        buffer_give(&held[b]);
    assert_true(bytes_in_use() < before + IDLE_MAX);
}

static void assert_too_large(size_t size)
{
    struct buffer buffer = NO_BUFFER;

    assert_int_equal(buffer_take(size, &buffer), -ENOMEM);
    assert_null(buffer.data);
}

static void test_too_large(void **state)
{
    /* With these, rounding up to a page would come out at next to nothing. */
    assert_too_large(SIZE_MAX);
    assert_too_large(SIZE_MAX - 1);
    assert_too_large(SIZE_MAX - PAGE + 1);
    if (is_sanitized())
        return; /* a sanitizer's malloc does not only refuse what follows */
    assert_too_large(SIZE_MAX - PAGE);
    assert_too_large(SIZE_MAX - 2 * PAGE);
    assert_too_large(SIZE_MAX / 2 + 1);
    assert_too_large(SIZE_MAX / 2);
    assert_too_large(SIZE_MAX / 4);
}

static atomic_uint collisions;

/* What one thread holds no other thread holds. */
static void take_and_give(void *shared, unsigned number)
{
    unsigned found = 0;

    for (unsigned round = 0; round < 50000; round++) {
        struct buffer held[2] = {NO_BUFFER, NO_BUFFER};
        for (unsigned b = 0; b < 2; b++) {
            if (buffer_take((size_t)1000 << (round + number) % 3 * 2, &held[b]) != 0)
                abort();
            memset(held[b].data, (int)(number + 100 * b), 64);
        }
        for (unsigned b = 0; b < 2; b++) {
            for (size_t i = 0; i < 64; i++)
                found += held[b].data[i] != number + 100 * b;
            buffer_give(&held[b]);
        }
    }
    collisions += found;
}

static void test_threads(void **state)
{
    in_threads(8, take_and_give, NULL);
    assert_int_equal(collisions, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_nothing_to_give),
        cmocka_unit_test(test_used_again),
        cmocka_unit_test(test_growing_and_shrinking),
        cmocka_unit_test(test_idle_memory_is_bounded),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests_name("buffer", tests, support_set_up, NULL);
}
