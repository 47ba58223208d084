/* SPDX-License-Identifier: MIT */
/* Reading in full, and the limit of open files of this process. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Reads SIZE bytes of FD at OFFSET to DATA; *RET is how many there were, fewer only at the end of
 * the file. Returns 0 or a negative errno.
 */
int io_read(int fd, uint64_t offset, uint8_t *data, size_t size, size_t *ret);

/* Raises the limit of open files as far as allowed: each store or target needs one at a time. */
void descriptors_allow_all(void);
