/* SPDX-License-Identifier: MIT */
/*
 * Where things stand in a share: all three formats are a header and then a block for each stripe
 * of the source. Pure arithmetic, no I/O; docs/format.md is the specification.
 *
 *     source  = stripe 0, stripe 1, ...  of k * B bytes, the last one shorter
 *     share i = header, block 0, block 1, ...
 *     block   = payload (share i of the stripe's k pieces), in checked format between a digest
 *               and a check
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum share_format {
    SHARE_CHECKED,
    SHARE_CLASSIC, /* zfec_fs: pieces are interleaved byte by byte */
    SHARE_FEC,     /* zfec's command line */
};

enum {
    BLOCK_SIZE_MIN = 4096,
    BLOCK_SIZE_MAX = 1 << 20,
    BLOCK_SIZE_DEFAULT = 1 << 16,
};

struct share_layout {
    enum share_format format;
    uint8_t required;     /* k, 1..255 */
    uint32_t block_size;  /* B, payload bytes of a full block: a power of two, 4 KiB..1 MiB */
    uint64_t header_size; /* bytes before block 0, extensions included */
    uint64_t source_size; /* S, at most INT64_MAX */
};

/* The text of a format's option value, and the way back (0 or -EINVAL). */
const char *share_format_name(enum share_format format);
int share_format_from_name(const char *name, enum share_format *ret);

/* A block size as it is given, "65536" or "64K". Returns 0 or -EINVAL. */
int block_size_from_text(const char *text, uint32_t *ret);

/*
 * The layout of shares to be made: TOTAL (k..256) is the number of shares, which only the fec
 * format writes down; BLOCK_SIZE counts in checked format only. -EFBIG where a share's size does
 * not fit a file.
 */
int layout_new(enum share_format format, unsigned required, unsigned total, uint32_t block_size,
               uint64_t source_size, struct share_layout *ret);

/* T, the number of stripes and of blocks. */
uint64_t layout_stripes(const struct share_layout *layout);

/* Source bytes in stripe t < T: k * B, or fewer in the last one. At most 255 MiB. */
size_t layout_stripe_size(const struct share_layout *layout, uint64_t stripe);

/* u, the payload bytes of block t < T: B, or ceil(stripe size / k) in the last one. */
size_t layout_payload_size(const struct share_layout *layout, uint64_t stripe);

/* Bytes of block t < T, digest and check included, and where in the share it starts. */
size_t layout_block_size(const struct share_layout *layout, uint64_t stripe);
uint64_t layout_block_offset(const struct share_layout *layout, uint64_t stripe);

/* Bytes of a full block and of a full stripe: no block or stripe is larger. */
size_t layout_full_block_size(const struct share_layout *layout);
size_t layout_full_stripe_size(const struct share_layout *layout);

uint64_t layout_share_size(const struct share_layout *layout);
