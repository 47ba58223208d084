/* SPDX-License-Identifier: MIT */
/* Reading and writing in full, and descriptors of this process. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Reads SIZE bytes of FD at OFFSET to DATA; *RET is how many there were, fewer only at the end of
 * the file. Returns 0 or a negative errno.
 */
int io_read(int fd, uint64_t offset, uint8_t *data, size_t size, size_t *ret);

/* Writes SIZE bytes to FD at OFFSET, all of them. Returns 0 or a negative errno. */
int io_write(int fd, uint64_t offset, const uint8_t *data, size_t size);

/* A path to the very object that a descriptor is of, whatever its name stands for by now. */
struct fd_path {
    char text[sizeof "/proc/self/fd/" + 3 * sizeof(int)];
};

struct fd_path fd_path(int fd);

/* Raises the limit of open files as far as allowed: each store or target needs one at a time. */
void descriptors_allow_all(void);
