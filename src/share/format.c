/* SPDX-License-Identifier: MIT */
#include "share/format.h"

#include "base/number.h"
#include "base/times.h"
#include "share/block.h"

#include <errno.h>
#include <string.h>

const struct format *const formats[] = {
    [SHARE_CHECKED] = &format_checked, [SHARE_CLASSIC] = &format_classic, [SHARE_FEC] = &format_fec,
    [SHARE_SEALED] = &format_sealed,   [SHARE_KEY] = &format_key,
};

int share_format_from_name(const char *name, enum share_format *ret)
{
    for (enum share_format format = 0; format < SHARE_FORMATS; format++) {
        if (strcmp(name, formats[format]->name) == 0) {
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
        .block_size = formats[format]->block_size ? formats[format]->block_size : block_size,
        .header_size = formats[format]->header_size(required, total),
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
    return formats[layout->format]->has_checks ? BLOCK_OVERHEAD : 0;
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

struct share_layout header_plain_layout(const struct share_header *header)
{
    struct share_layout layout = header->layout;

    layout.header_size = formats[layout.format]->header_size(layout.required, header->total);
    return layout;
}

void header_write(const struct share_header *header, uint8_t *ret)
{
    formats[header->layout.format]->write(header, ret);
}

void header_file_time(const struct share_header *header, uint8_t index, struct timespec *time)
{
    uint8_t bytes[KEY_SHARE_SIZE];

    if (header->writer)
        header->writer->write(header->writer, index, bytes, time);
}

int header_read(enum share_format format, const uint8_t *data, size_t size, uint64_t share_size,
                struct share_header *ret)
{
    struct share_header other;

    for (size_t i = 0; i < SHARE_FORMATS_READ && !formats[format]->has_checks; i++) {
        if (formats[i]->has_checks && formats[i]->read(data, size, share_size, &other) == 0)
            return -EMEDIUMTYPE;
    }
    return formats[format]->read(data, size, share_size, ret);
}

int header_from_share_size(enum share_format format, unsigned required, unsigned total,
                           unsigned index, unsigned filling, uint64_t share_size,
                           struct share_header *ret)
{
    struct share_header header = {.index = (uint8_t)index, .total = (uint16_t)total};
    uint64_t head = formats[format]->header_size(required, total), source_size;

    if (share_size < head ||
        __builtin_mul_overflow(share_size - head, (uint64_t)required, &source_size) ||
        source_size < filling ||
        layout_new(format, required, total, BLOCK_SIZE_DEFAULT, source_size - filling,
                   &header.layout) < 0)
        return -EBADMSG;
    *ret = header;
    return 0;
}

int64_t header_time(const struct timespec *time)
{
    __extension__ __int128 nanoseconds = (__int128)time->tv_sec * 1000000000 + time->tv_nsec;

    if (nanoseconds < INT64_MIN)
        return INT64_MIN;
    return nanoseconds > INT64_MAX ? INT64_MAX : (int64_t)nanoseconds;
}

bool header_mtime(const struct share_header *header, struct timespec *ret)
{
    int64_t time = header->mtime_ns;

    if (!formats[header->layout.format]->has_checks || time == INT64_MIN || time == INT64_MAX)
        return false;
    *ret = times_of_ns(time);
    return true;
}
