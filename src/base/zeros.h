/* SPDX-License-Identifier: MIT */
/* As many zeros as the largest stripe has, mapped from one MiB of memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { ZEROS_SIZE = 255 << 20 };

/* ZEROS_SIZE zeros; NULL without address space for them. Any thread may call it. */
const uint8_t *zeros(void);
