/* SPDX-License-Identifier: MIT */
/* The header of the classic format, zfec_fs's: k, i, S mod k. */
#include "share/formats.h"

#include <errno.h>

void classic_header_write(const struct share_header *header, uint8_t *ret)
{
    ret[0] = header->layout.required;
    ret[1] = header->index;
    ret[2] = (uint8_t)(header->layout.source_size % header->layout.required);
}

int classic_header_read(const uint8_t *data, size_t size, uint64_t share_size,
                        struct share_header *ret)
{
    if (size < CLASSIC_HEADER_SIZE || data[0] == 0 || data[2] >= data[0])
        return -EBADMSG;

    unsigned required = data[0];
    uint64_t piece = share_size - CLASSIC_HEADER_SIZE, source_size;
    uint8_t filling = data[2] ? (uint8_t)(data[0] - data[2]) : 0;
    if (__builtin_mul_overflow(piece, (uint64_t)required, &source_size) || source_size < filling)
        return -EBADMSG;

    struct share_header header = {.index = data[1]};
    if (layout_new(SHARE_CLASSIC, required, 0, 0, source_size - filling, &header.layout) < 0)
        return -EBADMSG;
    *ret = header;
    return 0;
}
