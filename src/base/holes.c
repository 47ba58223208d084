/* SPDX-License-Identifier: MIT */
#include "base/holes.h"

#include "base/io.h"
#include "base/zeros.h"

#include <fcntl.h>

/* The smallest unit of the usual file systems; a hole of less frees nothing. */
enum { PAGE = 4096 };

/* Returns where the page of the file ends that has byte AT; SIZE at the most. */
static size_t page_end(uint64_t offset, size_t size, size_t at)
{
    size_t left = PAGE - (size_t)((offset + at) % PAGE);

    return size - at < left ? size : at + left;
}

/* Returns where the run of pages ends that begins at AT: of nothing but zeros, or of others. */
static size_t run_end(uint64_t offset, const uint8_t *data, size_t size, size_t at, bool *is_zeros)
{
    size_t end = page_end(offset, size, at), next;

    *is_zeros = zeros_are(data + at, end - at);
    for (; end < size; end = next) {
        next = page_end(offset, size, end);
        if (zeros_are(data + end, next - end) != *is_zeros)
            break;
    }
    return end;
}

int holes_write(int fd, uint64_t offset, const uint8_t *data, size_t size, bool over, bool *left)
{
    const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    bool is_zeros;
    int r = 0;

    for (size_t at = 0, end; r == 0 && at < size; at = end) {
        end = run_end(offset, data, size, at, &is_zeros);
        off_t start = (off_t)(offset + at);
        /* Where holes cannot be made over what is there, zeros are as good. */
        if (is_zeros && (!over || fallocate(fd, mode, start, (off_t)(end - at)) == 0))
            *left = true;
        else
            r = io_write(fd, (uint64_t)start, data + at, end - at);
    }
    return r;
}
