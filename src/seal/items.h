/* SPDX-License-Identifier: MIT */
/*
 * Reads CBOR item by item. Numbers and lengths may have any encoding, except indefinite length.
 * Memory is never allocated for what the input merely claims to hold.
 *
 * Functions return 0, or -EBADMSG if something else comes next or the input ends.
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

/* An item; of an array or a map, only its head. */
struct coded_item {
    enum item_kind kind;
    uint64_t number;      /* or the number of bytes, items or pairs */
    const uint8_t *bytes; /* where they are in the input */
};

struct items {
    struct cbor_callbacks callbacks;
    const uint8_t *at;
    size_t left;
};

struct items items_of(const uint8_t *bytes, size_t size);

/* Reads the next item, which must be of KIND. */
int items_next(struct items *items, enum item_kind kind, struct coded_item *ret);

/* Reads a number that is LIMIT at most. */
int items_number(struct items *items, uint64_t limit, uint64_t *ret);
int items_number32(struct items *items, uint32_t *ret);
int items_signed(struct items *items, int64_t *ret);

/* Reads SIZE bytes. */
int items_bytes(struct items *items, uint8_t *ret, size_t size);

/* Reads bytes or text without NUL into a string, which the caller frees. Also -ENOMEM. */
int items_string(struct items *items, enum item_kind kind, char **ret);

/* Reads exactly TEXT. */
int items_expect_text(struct items *items, const char *text);

/* Reads the head of an array or a map of exactly COUNT items or pairs. */
int items_expect(struct items *items, enum item_kind kind, uint64_t count);
