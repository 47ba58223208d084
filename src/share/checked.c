/* SPDX-License-Identifier: MIT */
/* The checked format and the sealed one, which differ in a flag; their blocks are in block.c. */
#include "share/format.h"

#include "base/bytes.h"
#include "share/block.h"

#include <errno.h>
#include <string.h>

/* Where the fields stand. */
enum {
    FLAG_SEALED = 1,
};

enum {
    AT_MAGIC = 0,
    AT_REQUIRED = 8,
    AT_INDEX = 9,
    AT_BLOCK_BITS = 10,
    AT_FLAGS = 11,
    AT_EXTENSIONS = 12,
    AT_SIZE = 16,
    AT_MTIME = 24,
    AT_ZERO = 32,
    AT_HASH = 48,
    SIZE = 64,
};

static const uint8_t magic[8] = {0x00, 'Z', 'F', 'E', 'C', 'F', 'S', '1'};
static const uint8_t zero[AT_HASH - AT_ZERO];

static size_t checked_header_size(unsigned required, unsigned total)
{
    return SIZE;
}

static void checked_write(const struct share_header *header, uint8_t *ret)
{
    const struct share_layout *layout = &header->layout;

    memset(ret, 0, SIZE);
    memcpy(ret + AT_MAGIC, magic, sizeof magic);
    ret[AT_REQUIRED] = layout->required;
    ret[AT_INDEX] = header->index;
    ret[AT_BLOCK_BITS] = (uint8_t)__builtin_ctz(layout->block_size);
    ret[AT_FLAGS] = formats[layout->format]->is_sealed ? FLAG_SEALED : 0;
    store_le64(ret + AT_SIZE, layout->source_size);
    store_le64(ret + AT_MTIME, (uint64_t)header->mtime_ns);
    hash(ret, AT_HASH, 0, ret + AT_HASH);
}

static int checked_read(const uint8_t *data, size_t size, uint64_t share_size,
                        struct share_header *ret)
{
    uint8_t expected[HASH_SIZE];

    if (size < SIZE || memcmp(data + AT_MAGIC, magic, sizeof magic) != 0)
        return -EBADMSG;
    hash(data, AT_HASH, 0, expected);
    if (memcmp(data + AT_HASH, expected, HASH_SIZE) != 0)
        return -EBADMSG;

    unsigned block_bits = data[AT_BLOCK_BITS];
    uint64_t source_size = load_le64(data + AT_SIZE);
    if (data[AT_REQUIRED] == 0 || block_bits > 20 || 1 << block_bits < BLOCK_SIZE_MIN ||
        (data[AT_FLAGS] & ~FLAG_SEALED) != 0 || source_size > INT64_MAX ||
        memcmp(data + AT_ZERO, zero, sizeof zero) != 0)
        return -EBADMSG;

    struct share_header header = {
        .layout = {.format = data[AT_FLAGS] & FLAG_SEALED ? SHARE_SEALED : SHARE_CHECKED,
                   .required = data[AT_REQUIRED],
                   .block_size = UINT32_C(1) << block_bits,
                   .header_size = SIZE + (uint64_t)load_le32(data + AT_EXTENSIONS),
                   .source_size = source_size},
        .index = data[AT_INDEX],
        .mtime_ns = (int64_t)load_le64(data + AT_MTIME),
    };
    if (layout_share_size(&header.layout) > INT64_MAX)
        return -EBADMSG;
    *ret = header;
    return 0;
}

const struct format format_checked = {
    .name = "checked",
    .has_checks = true,
    .header_size = checked_header_size,
    .write = checked_write,
    .read = checked_read,
};

const struct format format_sealed = {
    .name = "sealed",
    .has_checks = true,
    .is_sealed = true,
    .header_size = checked_header_size,
    .write = checked_write,
    .read = checked_read,
};

static size_t key_size(unsigned required, unsigned total)
{
    return KEY_SHARE_SIZE;
}

static void key_write(const struct share_header *header, uint8_t *ret)
{
    struct timespec time;

    header->writer->write(header->writer, header->index, ret, &time);
}

const struct format format_key = {
    .name = "key",
    .has_checks = true,
    .is_sealed = true,
    .header_size = key_size,
    .write = key_write,
};
