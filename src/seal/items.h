/* SPDX-License-Identifier: MIT */
/*
 * Reading CBOR one item after the other, in any encoding of numbers and lengths, but none of
 * indefinite length. No memory is taken for what the input only claims to hold.
 *
 * Functions return 0, or -EBADMSG where something else is next or the input ends.
 */
#pragma once

#include <cbor.h>
#include <stddef.h>
#include <stdint.h>

enum item_kind {
    ITEM_OTHER,
    ITEM_NUMBER,
    ITEM_NEGATIVE,
    ITEM_BYTES,
    ITEM_TEXT,
    ITEM_ARRAY,
    ITEM_MAP
};

/* An item, or of an array or a map its head. */
struct coded_item {
    enum item_kind kind;
    uint64_t number;      /* or how many bytes, items or pairs there are */
    const uint8_t *bytes; /* where they are in the input */
};

struct items {
    struct cbor_callbacks callbacks;
    const uint8_t *at;
    size_t left;
};

struct items items_of(const uint8_t *bytes, size_t size);

/* Reads the next item, which must be of this kind. */
int items_next(struct items *items, enum item_kind kind, struct coded_item *ret);

/* Reads a number of LIMIT at most. */
int items_number(struct items *items, uint64_t limit, uint64_t *ret);
int items_number32(struct items *items, uint32_t *ret);
int items_signed(struct items *items, int64_t *ret);

/* Reads SIZE bytes. */
int items_bytes(struct items *items, uint8_t *ret, size_t size);

/* Reads bytes or text without a zero to a string, which the caller frees. Also -ENOMEM. */
int items_string(struct items *items, enum item_kind kind, char **ret);

/* Reads this text. */
int items_expect_text(struct items *items, const char *text);

/* Reads the head of an array or a map that has COUNT items or pairs. */
int items_expect(struct items *items, enum item_kind kind, uint64_t count);
