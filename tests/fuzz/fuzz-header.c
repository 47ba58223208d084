/* SPDX-License-Identifier: MIT */
/*
 * header_read of all formats: whatever it accepts keeps the ranges of header.h and layout.h, and
 * its layout fits together.
 *
 *     how 1 (format mod 3; above 127: of a checked header magic and hash are made right)
 *     k of classic 1 | size of the share 8 | the share's first bytes, up to 64
 */
#include "fuzz.h"

#include "share/block.h"
#include "share/format.h"

#include <stdbool.h>
#include <string.h>

enum { CHECKED_SIZE = 64, HASHED_SIZE = 48 };

static void make_right(uint8_t *data)
{
    static const uint8_t magic[] = {0x00, 'Z', 'F', 'E', 'C', 'F', 'S', '1'};

    memcpy(data, magic, sizeof magic);
    hash(data, HASHED_SIZE, 0, data + HASHED_SIZE);
}

static void check_ranges(const struct share_header *header, enum share_format format)
{
    const struct share_layout *layout = &header->layout;
    uint32_t block_size = layout->block_size;

    CHECK(format_read_as(layout->format) == format);
    CHECK(layout->required >= 1);
    CHECK(block_size >= BLOCK_SIZE_MIN && block_size <= BLOCK_SIZE_MAX);
    CHECK((block_size & (block_size - 1)) == 0);
    CHECK(layout->source_size <= INT64_MAX);
    CHECK(layout_share_size(layout) <= INT64_MAX);
    CHECK(layout->header_size >= formats[format]->header_size(layout->required, header->total));
    CHECK(format == SHARE_CHECKED || layout->header_size <= 4);
    CHECK(layout->header_size <= CHECKED_SIZE + (uint64_t)UINT32_MAX);
    if (format == SHARE_FEC)
        CHECK(header->total <= 256 && header->index < header->total &&
              layout->required <= header->total);
    else
        CHECK(header->total == 0);
    CHECK(format == SHARE_CHECKED || header->mtime_ns == 0);
}

static void check_stripe(const struct share_layout *layout, uint64_t stripe)
{
    size_t size = layout_stripe_size(layout, stripe), u = layout_payload_size(layout, stripe);
    size_t block = layout_block_size(layout, stripe);

    CHECK(size >= 1 && size <= layout_full_stripe_size(layout));
    CHECK(u * layout->required >= size && (u - 1) * layout->required < size);
    CHECK(block == u + (formats[layout->format]->has_checks ? BLOCK_OVERHEAD : 0));
    CHECK(block <= layout_full_block_size(layout));
    if (stripe > 0)
        CHECK(layout_block_offset(layout, stripe) ==
              layout_block_offset(layout, stripe - 1) + layout_block_size(layout, stripe - 1));
}

static void check_layout(const struct share_layout *layout)
{
    uint64_t stripes = layout_stripes(layout), size = layout_share_size(layout);

    CHECK((stripes == 0) == (layout->source_size == 0));
    CHECK(layout_block_offset(layout, 0) == layout->header_size);
    if (stripes == 0) {
        CHECK(size == layout->header_size);
        return;
    }
    const uint64_t some[] = {0, stripes / 2, stripes - 1};
    for (size_t i = 0; i < 3; i++)
        check_stripe(layout, some[i]);
    uint64_t last = stripes - 1;
    CHECK(last * layout_full_stripe_size(layout) + layout_stripe_size(layout, last) ==
          layout->source_size);
    CHECK(layout_block_offset(layout, last) + layout_block_size(layout, last) == size);
}

static void check_same(const struct share_header *a, const struct share_header *b)
{
    CHECK(a->layout.format == b->layout.format && a->layout.required == b->layout.required);
    CHECK(a->layout.block_size == b->layout.block_size);
    CHECK(a->layout.header_size == b->layout.header_size);
    CHECK(a->layout.source_size == b->layout.source_size);
    CHECK(a->index == b->index && a->total == b->total && a->mtime_ns == b->mtime_ns);
}

/* Written again it is read as the same, and (fec has bits to spare) of the same bytes. */
static void check_round_trip(const struct share_header *header, const uint8_t *data)
{
    const struct share_layout *layout = &header->layout;
    size_t size = (size_t)layout->header_size;
    uint8_t written[HEADER_SIZE_MAX];
    struct share_header read;

    header_write(header, written);
    CHECK(layout->format == SHARE_FEC || memcmp(written, data, size) == 0);
    CHECK(header_read(format_read_as(layout->format), written, size, layout_share_size(layout),
                      &read) == 0);
    check_same(header, &read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    uint8_t how = take_byte(&input);
    uint64_t share_size = take_number(&input);
    enum share_format format = (enum share_format)(how % 3);
    struct share_header header;

    size_t length = input.left < HEADER_SIZE_MAX ? input.left : HEADER_SIZE_MAX;
    if (length > share_size)
        length = (size_t)share_size;
    uint8_t *first = malloc(length + 1);
    CHECK(first);
    memcpy(first, input.data, length);
    if (how > 127 && length == CHECKED_SIZE)
        make_right(first);
    int r = header_read(format, first, length, share_size, &header);
    if (r == 0) {
        check_ranges(&header, format);
        check_layout(&header.layout);
        CHECK(format == SHARE_CHECKED || layout_share_size(&header.layout) == share_size);
        CHECK(format != SHARE_CLASSIC || header.layout.required == first[0]);
        if (header.layout.header_size ==
            formats[format]->header_size(header.layout.required, header.total))
            check_round_trip(&header, first);
    }
    free(first);
    return 0;
}
