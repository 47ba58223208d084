/* SPDX-License-Identifier: MIT */
/* Files of this process: reading all of what is asked for, and how many may be open. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Reads SIZE bytes of FD at OFFSET to DATA; *RET is how many there were, fewer only at the end of
 * the file. Returns 0 or a negative errno.
 */
int io_read(int fd, uint64_t offset, uint8_t *data, size_t size, size_t *ret);

/* Lets this process have as many files open as it may: one for each store, or target, at a time. */
void descriptors_allow_all(void);
