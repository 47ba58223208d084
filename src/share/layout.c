/* SPDX-License-Identifier: MIT */
#include "share/layout.h"

#include "base/number.h"
#include "share/block.h"
#include "share/header.h"

#include <errno.h>
#include <string.h>

enum {
    FEC_BLOCK_SIZE = 4096,
};

static const char *const names[] = {
    [SHARE_CHECKED] = "checked",
    [SHARE_CLASSIC] = "classic",
    [SHARE_FEC] = "fec",
};

const char *share_format_name(enum share_format format)
{
    return names[format];
}

int share_format_from_name(const char *name, enum share_format *ret)
{
    for (enum share_format format = SHARE_CHECKED; format <= SHARE_FEC; format++) {
        if (strcmp(name, names[format]) == 0) {
            *ret = format;
            return 0;
        }
    }
    return -EINVAL;
}

int block_size_from_text(const char *text, uint32_t *ret)
{
    unsigned long number, unit = 1;
    const char *end;

    if (number_read(text, 1, BLOCK_SIZE_MAX, &number, &end) < 0)
        return -EINVAL;
    if (*end) {
        unit = *end == 'k' || *end == 'K' ? 1024 : *end == 'm' || *end == 'M' ? 1024 * 1024 : 0;
        end++;
    }
    number *= unit;
    if (*end || number < BLOCK_SIZE_MIN || number > BLOCK_SIZE_MAX || number & (number - 1))
        return -EINVAL;
    *ret = (uint32_t)number;
    return 0;
}

int layout_new(enum share_format format, unsigned required, unsigned total, uint32_t block_size,
               uint64_t source_size, struct share_layout *ret)
{
    struct share_layout layout = {
        .format = format,
        .required = (uint8_t)required,
        .block_size = format == SHARE_CHECKED ? block_size
                      : format == SHARE_FEC   ? FEC_BLOCK_SIZE
                                              : BLOCK_SIZE_DEFAULT,
        .header_size = header_size(format, required, total),
        .source_size = source_size,
    };

    if (source_size > INT64_MAX || layout_share_size(&layout) > INT64_MAX)
        return -EFBIG;
    *ret = layout;
    return 0;
}

size_t layout_full_stripe_size(const struct share_layout *layout)
{
    return (size_t)layout->required * layout->block_size;
}

static size_t overhead(const struct share_layout *layout)
{
    return layout->format == SHARE_CHECKED ? BLOCK_OVERHEAD : 0;
}

size_t layout_full_block_size(const struct share_layout *layout)
{
    return overhead(layout) + layout->block_size;
}

uint64_t layout_stripes(const struct share_layout *layout)
{
    uint64_t full = layout_full_stripe_size(layout);

    return layout->source_size / full + (layout->source_size % full > 0);
}

size_t layout_stripe_size(const struct share_layout *layout, uint64_t stripe)
{
    size_t full = layout_full_stripe_size(layout);
    uint64_t left = layout->source_size - stripe * full;

    return left < full ? (size_t)left : full;
}

size_t layout_payload_size(const struct share_layout *layout, uint64_t stripe)
{
    size_t size = layout_stripe_size(layout, stripe);

    return (size + layout->required - 1) / layout->required;
}

size_t layout_block_size(const struct share_layout *layout, uint64_t stripe)
{
    return overhead(layout) + layout_payload_size(layout, stripe);
}

uint64_t layout_block_offset(const struct share_layout *layout, uint64_t stripe)
{
    return layout->header_size + stripe * layout_full_block_size(layout);
}

/* In 64 bits nothing overflows here: S < 2^63, and digests and checks are S / 128 bytes at most. */
uint64_t layout_share_size(const struct share_layout *layout)
{
    uint64_t stripes = layout_stripes(layout);

    if (stripes == 0)
        return layout->header_size;
    return layout_block_offset(layout, stripes - 1) + layout_block_size(layout, stripes - 1);
}
