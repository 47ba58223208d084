/* SPDX-License-Identifier: MIT */
/* Little-endian integers at any address, as the share formats hold them; and mixing of bits. */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t load_le32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

static inline uint64_t load_le64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

static inline void store_le32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof value);
}

static inline void store_le64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof value);
}

/* A bijection of 64 bits that spreads them: the finalizer of splitmix64 (Steele et al., 2014). */
static inline uint64_t mix_bits(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}
