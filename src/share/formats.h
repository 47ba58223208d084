/* SPDX-License-Identifier: MIT */
/* The headers of the single formats; share/header.h chooses among them. */
#pragma once

#include "share/header.h"

enum {
    CHECKED_HEADER_SIZE = 64,
    CLASSIC_HEADER_SIZE = 3,
};

void checked_header_write(const struct share_header *header, uint8_t *ret);
int checked_header_read(const uint8_t *data, size_t size, struct share_header *ret);

void classic_header_write(const struct share_header *header, uint8_t *ret);
int classic_header_read(const uint8_t *data, size_t size, uint64_t share_size,
                        struct share_header *ret);

size_t fec_header_size(unsigned required, unsigned total);
void fec_header_write(const struct share_header *header, uint8_t *ret);
int fec_header_read(const uint8_t *data, size_t size, uint64_t share_size,
                    struct share_header *ret);
