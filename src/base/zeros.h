/* SPDX-License-Identifier: MIT */
/* As many zeros as the largest stripe has, mapped from one MiB of memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ZEROS_SIZE = 255 << 20 };

/* ZEROS_SIZE zeros; NULL without address space for them. Any thread may call it. */
const uint8_t *zeros(void);

/* Returns true if SIZE bytes are all zeros. Takes no longer than to the first that is not. */
bool zeros_are(const uint8_t *data, size_t size);
