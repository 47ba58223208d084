/* SPDX-License-Identifier: MIT */
/* The classic format, zfec_fs's: the header is k, i, S mod k; pieces are interleaved. */
#include "share/format.h"

#include <errno.h>

enum { SIZE = 3 };

static size_t classic_header_size(unsigned required, unsigned total)
{
    return SIZE;
}

static void classic_write(const struct share_header *header, uint8_t *ret)
{
    ret[0] = header->layout.required;
    ret[1] = header->index;
    ret[2] = (uint8_t)(header->layout.source_size % header->layout.required);
}

static int classic_read(const uint8_t *data, size_t size, uint64_t share_size,
                        struct share_header *ret)
{
    if (size < SIZE || data[0] == 0 || data[2] >= data[0])
        return -EBADMSG;
    unsigned filling = data[2] ? (unsigned)(data[0] - data[2]) : 0;
    return header_from_share_size(SHARE_CLASSIC, data[0], 0, data[1], filling, share_size, ret);
}

const struct format format_classic = {
    .name = "classic",
    .is_interleaved = true,
    .block_size = BLOCK_SIZE_DEFAULT,
    .header_size = classic_header_size,
    .write = classic_write,
    .read = classic_read,
};
