/* SPDX-License-Identifier: MIT */
/* Zeros to read, as many as the largest stripe has, in one MiB of memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { ZEROS_SIZE = 255 << 20 };

/* ZEROS_SIZE zeros; NULL without address space for them. Any thread may call it. */
const uint8_t *zeros(void);
