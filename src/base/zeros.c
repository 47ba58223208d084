/* SPDX-License-Identifier: MIT */
#include "base/zeros.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

static const uint8_t *memory;

enum { PIECE = 1 << 20 };

/*
 * One piece of memory, again and again: mremap(2) maps shared memory once more where the old size
 * is 0. Some kernels would do the same for private memory that is never written to, and some not.
 */
static void map(void)
{
    uint8_t *room =
        mmap(NULL, ZEROS_SIZE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (room == MAP_FAILED)
        return;
    for (size_t i = PIECE; i < ZEROS_SIZE; i += PIECE) {
        if (mremap(room, 0, PIECE, MREMAP_MAYMOVE | MREMAP_FIXED, room + i) == MAP_FAILED) {
            munmap(room, ZEROS_SIZE);
            return;
        }
    }
    memory = room;
}

const uint8_t *zeros(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, map);
    return memory;
}

/* Each byte is compared with the one before it: this needs no other zeros. */
bool zeros_are(const uint8_t *data, size_t size)
{
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}
