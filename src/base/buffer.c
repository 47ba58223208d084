/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"

#include <pthread.h>

enum {
    SMALLEST_BITS = 12,
    LARGEST_BITS = 24, /* larger buffers are not kept */
    ORDERS = LARGEST_BITS - SMALLEST_BITS + 1,
    KEPT_BYTES = 32 << 20, /* idle buffers of all sizes together */
};

/* An idle buffer holds the pointer to the next one of its size in its first bytes. */
struct idle {
    struct idle *next;
};

static struct {
    pthread_mutex_t lock;
    struct idle *idle[ORDERS];
    size_t bytes;
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The order whose buffers hold SIZE bytes: those of order o have 2^(SMALLEST_BITS + o). */
static unsigned order_of(size_t size)
{
    unsigned order = 0;

    while (order < ORDERS && (size_t)1 << (SMALLEST_BITS + order) < size)
        order++;
    return order;
}

static struct idle *take_idle(unsigned order)
{
    pthread_mutex_lock(&kept.lock);
    struct idle *idle = kept.idle[order];
    if (idle) {
        kept.idle[order] = idle->next;
        kept.bytes -= (size_t)1 << (SMALLEST_BITS + order);
    }
    pthread_mutex_unlock(&kept.lock);
    return idle;
}

int buffer_take(size_t size, struct buffer *ret)
{
    const size_t page = (size_t)1 << SMALLEST_BITS;
    unsigned order = order_of(size);
    void *data = NULL;

    if (size > SIZE_MAX - page)
        return -ENOMEM;
    if (order < ORDERS) {
        size = (size_t)1 << (SMALLEST_BITS + order);
        data = take_idle(order);
    } else {
        size = (size + page - 1) / page * page;
    }
    if (!data)
        data = aligned_alloc(page, size);
    if (!data)
        return -ENOMEM;
    *ret = (struct buffer){data, size};
    return 0;
}

void buffer_give(struct buffer *buffer)
{
    if (!buffer->data)
        return;

    struct idle *idle = (struct idle *)(void *)buffer->data;
    unsigned order = order_of(buffer->size);
    pthread_mutex_lock(&kept.lock);
    if (order < ORDERS && kept.bytes + buffer->size <= KEPT_BYTES) {
        idle->next = kept.idle[order];
        kept.idle[order] = idle;
        kept.bytes += buffer->size;
        idle = NULL;
    }
    pthread_mutex_unlock(&kept.lock);
    free(idle);
    *buffer = NO_BUFFER;
}
