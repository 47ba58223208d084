/* SPDX-License-Identifier: MIT */
/*
 * The fec format, of zfec's command line. Its header: m - 1 in 8 bits, k - 1 in ceil(log2 m), pad
 * in ceil(log2 k), i in ceil(log2 m), the most significant first, left-aligned in 2, 3 or 4 bytes.
 * Source: zfec 1.5.2, zfec/filefec.py.
 */
#include "share/format.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

enum {
    SIZE_MIN = 2,
    TOTAL_BITS = 8,
};

/* ceil(log2 number), for 1..256. */
static unsigned bits_for(unsigned number)
{
    return number > 1 ? 32 - (unsigned)__builtin_clz(number - 1) : 0;
}

static size_t fec_header_size(unsigned required, unsigned total)
{
    unsigned bits = TOTAL_BITS + 2 * bits_for(total) + bits_for(required);
    size_t size = (bits + 7) / 8;

    return size < SIZE_MIN ? SIZE_MIN : size;
}

static void fec_write(const struct share_header *header, uint8_t *ret)
{
    unsigned required = header->layout.required, total = header->total;
    unsigned wide = bits_for(total), bits = TOTAL_BITS + 2 * wide + bits_for(required);
    unsigned padding = (unsigned)((required - header->layout.source_size % required) % required);
    uint32_t fields = total - 1;

    fields = fields << wide | (required - 1);
    fields = fields << bits_for(required) | padding;
    fields = fields << wide | header->index;
    fields = htobe32(fields << (32 - bits));
    memcpy(ret, &fields, fec_header_size(required, total));
}

/* Takes the COUNT (0..8) next bits of what is left of FIELDS. */
static unsigned take_bits(uint32_t *fields, unsigned count)
{
    unsigned taken = count ? *fields >> (32 - count) : 0;

    *fields <<= count;
    return taken;
}

static int fec_read(const uint8_t *data, size_t size, uint64_t share_size, struct share_header *ret)
{
    uint32_t fields = 0;

    if (size < SIZE_MIN)
        return -EBADMSG;
    memcpy(&fields, data, size < sizeof fields ? size : sizeof fields);
    fields = be32toh(fields);

    unsigned total = take_bits(&fields, TOTAL_BITS) + 1;
    unsigned required = take_bits(&fields, bits_for(total)) + 1;
    unsigned pad = take_bits(&fields, bits_for(required));
    unsigned index = take_bits(&fields, bits_for(total));
    if (required > total || required > 255 || pad >= required || index >= total ||
        size < fec_header_size(required, total))
        return -EBADMSG;
    return header_from_share_size(SHARE_FEC, required, total, index, pad, share_size, ret);
}

const struct format format_fec = {
    .name = "fec",
    .has_total = true,
    .block_size = 4096,
    .header_size = fec_header_size,
    .write = fec_write,
    .read = fec_read,
};
