/* SPDX-License-Identifier: MIT */
/*
 * The share formats: where things stand in a share, and the header that says what it is a share of.
 * Pure arithmetic, no I/O; docs/format.md is the specification.
 *
 *     source  = stripe 0, stripe 1, ...  of k * B bytes, the last one shorter
 *     share i = header, block 0, block 1, ...
 *     block   = payload (share i of the stripe's k pieces), in checked format between a digest
 *               and a check (share/block.h)
 *
 * What the formats differ in is in one table each (struct format), in a file of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum share_format {
    SHARE_CHECKED,
    SHARE_CLASSIC, /* of zfec_fs */
    SHARE_FEC,     /* of zfec's command line */
    SHARE_SEALED,  /* encrypted; with names that say nothing */
    SHARE_FORMATS,
    /* Those that headers are read as: a sealed one is a checked one that says so. */
    SHARE_FORMATS_READ = SHARE_SEALED,
    /* Of the file `key` of sealed shares, which the code makes none of: see header_writer. */
    SHARE_KEY = SHARE_FORMATS,
};

#define FORMAT_NAMES "checked, classic, fec or sealed"

enum {
    BLOCK_SIZE_MIN = 4096,
    BLOCK_SIZE_MAX = 1 << 20,
    BLOCK_SIZE_DEFAULT = 1 << 16,
    HEADER_SIZE_MAX = 64, /* bytes to read for header_read; extensions are behind them */
    KEY_SHARE_SIZE = 128, /* of a share's file `key`; no header is larger */
};

struct share_layout {
    enum share_format format;
    uint8_t required;     /* k, 1..255 */
    uint32_t block_size;  /* B, payload bytes of a full block: a power of two, 4 KiB..1 MiB */
    uint64_t header_size; /* bytes before block 0, extensions included */
    uint64_t source_size; /* S, at most INT64_MAX */
};

/* Writes all that there is of the file `key` of share INDEX, and says its time. */
struct header_writer {
    void (*write)(const struct header_writer *writer, uint8_t index, uint8_t ret[KEY_SHARE_SIZE],
                  struct timespec *ret_time);
};

struct share_header {
    struct share_layout layout;
    uint8_t index;
    uint16_t total;   /* m, the number of shares; 0 in formats without it */
    int64_t mtime_ns; /* the source's, nanoseconds since 1970; not in headers without checks */
    const struct header_writer *writer; /* of SHARE_KEY; else NULL */
};

struct format {
    const char *name;
    /* Each payload is between a digest and a check, and the header holds the source's time. */
    bool has_checks;
    /* The digest is the tag of an encryption, which only the key can make or prove. */
    bool is_sealed;
    bool has_total; /* the header holds the number of shares */
    /* Byte j of a stripe is in piece j mod k, so blocks are only a reader's unit; otherwise
     * piece p is bytes p*u .. of the stripe (u = layout_payload_size). */
    bool is_interleaved;
    uint32_t block_size; /* 0: as it is asked for */
    size_t (*header_size)(unsigned required, unsigned total);
    void (*write)(const struct share_header *header, uint8_t *ret);
    int (*read)(const uint8_t *data, size_t size, uint64_t share_size, struct share_header *ret);
};

extern const struct format format_checked, format_classic, format_fec, format_sealed, format_key;
extern const struct format *const formats[SHARE_FORMATS + 1];

/* Returns 0 or -EINVAL. */
int share_format_from_name(const char *name, enum share_format *ret);

/* A block size as it is given, "65536" or "64K". Returns 0 or -EINVAL. */
int block_size_from_text(const char *text, uint32_t *ret);

/*
 * The layout of shares to be made. TOTAL (k..256), the number of shares, counts where the header
 * holds it, and BLOCK_SIZE where the format has none of its own. -EFBIG where a share does not fit
 * a file.
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

/* No block or stripe is larger. */
size_t layout_full_block_size(const struct share_layout *layout);
size_t layout_full_stripe_size(const struct share_layout *layout);

uint64_t layout_share_size(const struct share_layout *layout);

/* The layout of a share of the same version without extensions, which none has that is made here.
 */
struct share_layout header_plain_layout(const struct share_header *header);

/* Writes layout.header_size bytes; the layout has no extensions. */
void header_write(const struct share_header *header, uint8_t *ret);

/* The time of the share's file, where it is not the source's. */
void header_file_time(const struct share_header *header, uint8_t index, struct timespec *time);

/* What headers of shares in that format are read as. */
static inline enum share_format format_read_as(enum share_format format)
{
    return format == SHARE_SEALED ? SHARE_CHECKED : format;
}

/*
 * Reads the header of a share, in one of SHARE_FORMATS_READ, of SHARE_SIZE bytes from its first
 * SIZE bytes: HEADER_SIZE_MAX, or all where the share is shorter. Shares of that layout fit a file,
 * but SHARE_SIZE need not agree with it in checked format, of which RET says whether it is sealed.
 * -EBADMSG where this is no intact header; -EMEDIUMTYPE where it is one of another format, one with
 * checks, though its bytes may look like one of this format, too.
 */
int header_read(enum share_format format, const uint8_t *data, size_t size, uint64_t share_size,
                struct share_header *ret);

/* For formats whose header does not hold the source's size: makes the header of a share of
 * SHARE_SIZE bytes, of whose k pieces FILLING bytes are not the source's. Returns 0 or -EBADMSG. */
int header_from_share_size(enum share_format format, unsigned required, unsigned total,
                           unsigned index, unsigned filling, uint64_t share_size,
                           struct share_header *ret);

/* A time as the checked header holds it: nanoseconds, clamped to what fits. */
int64_t header_time(const struct timespec *time);

/* The other way: false, and nothing changed, where the header holds no time, or a clamped one. */
bool header_mtime(const struct share_header *header, struct timespec *ret);
