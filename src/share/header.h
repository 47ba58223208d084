/* SPDX-License-Identifier: MIT */
/* The first bytes of a share, in each format: what it is a share of, and which. */
#pragma once

#include "share/layout.h"

#include <stdbool.h>

enum {
    HEADER_SIZE_MAX = 64, /* bytes to read for header_read; extensions are behind them */
};

struct share_header {
    struct share_layout layout;
    uint8_t index;
    uint16_t total;   /* m, the number of shares; fec only, 0 elsewhere */
    int64_t mtime_ns; /* the source's, nanoseconds since 1970; checked only, 0 elsewhere */
};

/* Bytes of a header that is written; TOTAL counts in fec format only. */
size_t header_size(enum share_format format, unsigned required, unsigned total);

/* The layout of a share of the same version without extensions, as all are that are made here. */
struct share_layout header_plain_layout(const struct share_header *header);

/* Writes layout.header_size bytes; the layout has no extensions. */
void header_write(const struct share_header *header, uint8_t ret[HEADER_SIZE_MAX]);

/*
 * Reads the header of a share of SHARE_SIZE bytes from its first SIZE bytes: HEADER_SIZE_MAX, or
 * all where the share is shorter. The layout is one whose shares fit a file, but SHARE_SIZE need
 * not agree with it in checked format (in the others the source's size follows from it). -EBADMSG
 * where this is no intact header.
 */
int header_read(enum share_format format, const uint8_t *data, size_t size, uint64_t share_size,
                struct share_header *ret);

/* A time as the checked header holds it: nanoseconds, clamped to what fits. */
struct timespec;
int64_t header_time(const struct timespec *time);

/* The other way: false, and nothing changed, where the header holds no time, or a clamped one. */
bool header_mtime(const struct share_header *header, struct timespec *ret);
