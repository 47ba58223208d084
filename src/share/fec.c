/* SPDX-License-Identifier: MIT */
/*
 * The header of the fec format, as zfec's command line writes it: m - 1 in 8 bits, k - 1 in
 * ceil(log2 m), pad in ceil(log2 k), i in ceil(log2 m), the most significant first, left-aligned
 * in 2, 3 or 4 bytes. Source: zfec 1.5.2, zfec/filefec.py.
 */
#include "share/formats.h"

#include <errno.h>

enum {
    SIZE_MIN = 2,
    TOTAL_BITS = 8,
};

/* ceil(log2 number), for 1..256. */
static unsigned bits_for(unsigned number)
{
    unsigned bits = 0;

    while (1U << bits < number)
        bits++;
    return bits;
}

size_t fec_header_size(unsigned required, unsigned total)
{
    unsigned bits = TOTAL_BITS + 2 * bits_for(total) + bits_for(required);
    size_t size = (bits + 7) / 8;

    return size < SIZE_MIN ? SIZE_MIN : size;
}

static unsigned padding(const struct share_layout *layout)
{
    return (unsigned)((layout->required - layout->source_size % layout->required) %
                      layout->required);
}

void fec_header_write(const struct share_header *header, uint8_t *ret)
{
    unsigned required = header->layout.required, total = header->total;
    unsigned wide = bits_for(total), bits = TOTAL_BITS + 2 * wide + bits_for(required);
    uint32_t fields = total - 1;

    fields = fields << wide | (required - 1);
    fields = fields << bits_for(required) | padding(&header->layout);
    fields = fields << wide | header->index;
    fields <<= 32 - bits;
    for (size_t i = 0; i < fec_header_size(required, total); i++)
        ret[i] = (uint8_t)(fields >> (24 - 8 * i));
}

/* Takes the COUNT (0..8) next bits of what is left of FIELDS. */
static unsigned take_bits(uint32_t *fields, unsigned count)
{
    unsigned taken = count ? *fields >> (32 - count) : 0;

    *fields <<= count;
    return taken;
}

int fec_header_read(const uint8_t *data, size_t size, uint64_t share_size, struct share_header *ret)
{
    uint32_t fields = 0;

    if (size < SIZE_MIN)
        return -EBADMSG;
    for (size_t i = 0; i < 4 && i < size; i++)
        fields |= (uint32_t)data[i] << (24 - 8 * i);

    unsigned total = take_bits(&fields, TOTAL_BITS) + 1;
    unsigned required = take_bits(&fields, bits_for(total)) + 1;
    unsigned pad = take_bits(&fields, bits_for(required));
    unsigned index = take_bits(&fields, bits_for(total));
    uint64_t head = fec_header_size(required, total), source_size;
    if (required > total || required > 255 || pad >= required || index >= total ||
        share_size < head || size < head)
        return -EBADMSG;

    if (__builtin_mul_overflow(share_size - head, (uint64_t)required, &source_size) ||
        source_size < pad)
        return -EBADMSG;
    struct share_header header = {.index = (uint8_t)index, .total = (uint16_t)total};
    if (layout_new(SHARE_FEC, required, total, 0, source_size - pad, &header.layout) < 0)
        return -EBADMSG;
    *ret = header;
    return 0;
}
