/* SPDX-License-Identifier: MIT */
#include "share/block.h"

/* On x86 the library chooses its widest instructions at run time only through this header. */
#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
__attribute__((target("avx"))) static void zero_upper_halves(void)
{
    _mm256_zeroupper();
}

/*
 * libxxhash 0.8.1 returns with the upper halves of the vector registers in use. What only knows the
 * lower ones is slow from then on, as it has to keep the others: libgcrypt's GCM-SIV by a third.
 */
static void leave_upper_halves(void)
{
    if (__builtin_cpu_supports("avx"))
        zero_upper_halves();
}
#else
static void leave_upper_halves(void)
{
}
#endif

_Static_assert(sizeof(XXH128_canonical_t) == HASH_SIZE, "a canonical XXH3-128 is 16 bytes");

void hash(const void *data, size_t size, uint64_t seed, uint8_t ret[HASH_SIZE])
{
    XXH128_canonicalFromHash((XXH128_canonical_t *)(void *)ret,
                             XXH3_128bits_withSeed(data, size, seed));
    leave_upper_halves();
}

static void make_check(const uint8_t *block, size_t payload_size, uint64_t stripe, uint8_t index,
                       uint8_t ret[HASH_SIZE])
{
    hash(block, HASH_SIZE + payload_size, stripe * 256 + index, ret);
}

void block_seal(uint8_t *block, size_t payload_size, uint64_t stripe, uint8_t index)
{
    make_check(block, payload_size, stripe, index, block + HASH_SIZE + payload_size);
}

bool block_is_intact(const uint8_t *block, size_t payload_size, uint64_t stripe, uint8_t index)
{
    uint8_t expected[HASH_SIZE];

    make_check(block, payload_size, stripe, index, expected);
    return memcmp(expected, block + HASH_SIZE + payload_size, HASH_SIZE) == 0;
}
