/* SPDX-License-Identifier: MIT */
#include "share/hash.h"

/* On x86 the library chooses its widest instructions at run time only through this header. */
#if defined(__x86_64__) || defined(__i386__)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

_Static_assert(sizeof(XXH128_canonical_t) == HASH_SIZE, "a canonical XXH3-128 is 16 bytes");

void hash(const void *data, size_t size, uint64_t seed, uint8_t ret[HASH_SIZE])
{
    XXH128_canonicalFromHash((XXH128_canonical_t *)(void *)ret,
                             XXH3_128bits_withSeed(data, size, seed));
}
