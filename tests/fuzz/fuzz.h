/* SPDX-License-Identifier: MIT */
/* What the fuzz targets share: their entry, a reader of the input, and a check that ends them. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* What is left of the input; zeros come behind its end. */
struct input {
    const uint8_t *data;
    size_t left;
};

static inline uint8_t take_byte(struct input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->data++;
}

static inline uint64_t take_number(struct input *input)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < 8; i++)
        number |= (uint64_t)take_byte(input) << 8 * i;
    return number;
}
