/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"

#include "base/lock.h"

enum {
    PAGE_BITS = 12,
    LARGEST_BITS = 24, /* larger buffers are not kept */
    ORDERS = LARGEST_BITS - PAGE_BITS + 1,
    KEPT_BYTES = 32 << 20, /* idle buffers of all sizes together */
};

#define PAGE ((size_t)1 << PAGE_BITS)

/* An idle buffer holds the pointer to the next one of its size in its first bytes. */
struct idle {
    struct idle *next;
};

static struct {
    pthread_mutex_t lock;
    struct idle *idle[ORDERS]; /* those of order o have PAGE << o bytes */
    size_t bytes;
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Returns the order whose buffers hold SIZE bytes; ORDERS where that is more than is kept. */
static unsigned order_of(size_t size)
{
    unsigned order = 0;

    while (order < ORDERS && PAGE << order < size)
        order++;
    return order;
}

int buffer_take(size_t size, struct buffer *ret)
{
    unsigned order = order_of(size);
    struct idle *idle = NULL;

    if (size > SIZE_MAX - PAGE)
        return -ENOMEM;
    size = order < ORDERS ? PAGE << order : (size + PAGE - 1) / PAGE * PAGE;
    if (order < ORDERS) {
        HOLD(&kept.lock);
        idle = kept.idle[order];
        if (idle) {
            kept.idle[order] = idle->next;
            kept.bytes -= size;
        }
    }
    void *data = idle ? idle : aligned_alloc(PAGE, size);
    if (!data)
        return -ENOMEM;
    *ret = (struct buffer){data, size};
    return 0;
}

void buffer_give(struct buffer *buffer)
{
    struct idle *idle = (struct idle *)(void *)buffer->data;
    unsigned order = order_of(buffer->size);

    if (!idle)
        return;
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
