/* SPDX-License-Identifier: MIT */
/* The hash of the checked format: XXH3-128 in its canonical, big-endian form. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { HASH_SIZE = 16 };

void hash(const void *data, size_t size, uint64_t seed, uint8_t ret[HASH_SIZE]);
