/* SPDX-License-Identifier: MIT */
#include "seal/items.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void take_item(void *item, enum item_kind kind, uint64_t number, const uint8_t *bytes)
{
    *(struct coded_item *)item = (struct coded_item){kind, number, bytes};
}

#define DEFINE_TAKE(name, type, kind)                                                              \
    static void name(void *item, type number)                                                      \
    {                                                                                              \
        take_item(item, kind, number, NULL);                                                       \
    }

DEFINE_TAKE(take_uint8, uint8_t, ITEM_NUMBER)
DEFINE_TAKE(take_uint16, uint16_t, ITEM_NUMBER)
DEFINE_TAKE(take_uint32, uint32_t, ITEM_NUMBER)
DEFINE_TAKE(take_uint64, uint64_t, ITEM_NUMBER)
DEFINE_TAKE(take_negative8, uint8_t, ITEM_NEGATIVE)
DEFINE_TAKE(take_negative16, uint16_t, ITEM_NEGATIVE)
DEFINE_TAKE(take_negative32, uint32_t, ITEM_NEGATIVE)
DEFINE_TAKE(take_negative64, uint64_t, ITEM_NEGATIVE)
DEFINE_TAKE(take_array, size_t, ITEM_ARRAY)
DEFINE_TAKE(take_map, size_t, ITEM_MAP)

static void take_bytes(void *item, cbor_data bytes, size_t size)
{
    take_item(item, ITEM_BYTES, size, bytes);
}

static void take_text(void *item, cbor_data bytes, size_t size)
{
    take_item(item, ITEM_TEXT, size, bytes);
}

struct items items_of(const uint8_t *bytes, size_t size)
{
    struct cbor_callbacks callbacks = cbor_empty_callbacks;

    callbacks.uint8 = take_uint8;
    callbacks.uint16 = take_uint16;
    callbacks.uint32 = take_uint32;
    callbacks.uint64 = take_uint64;
    callbacks.negint8 = take_negative8;
    callbacks.negint16 = take_negative16;
    callbacks.negint32 = take_negative32;
    callbacks.negint64 = take_negative64;
    callbacks.byte_string = take_bytes;
    callbacks.string = take_text;
    callbacks.array_start = take_array;
    callbacks.map_start = take_map;
    return (struct items){callbacks, bytes, size};
}

static int next(struct items *items, struct coded_item *ret)
{
    *ret = (struct coded_item){.kind = ITEM_OTHER};
    struct cbor_decoder_result result =
        cbor_stream_decode(items->at, items->left, &items->callbacks, ret);
    if (result.status != CBOR_DECODER_FINISHED)
        return -EBADMSG;
    items->at += result.read;
    items->left -= result.read;
    return 0;
}

int items_next(struct items *items, enum item_kind kind, struct coded_item *ret)
{
    int r = next(items, ret);

    return r == 0 && ret->kind == kind ? 0 : -EBADMSG;
}

int items_number(struct items *items, uint64_t limit, uint64_t *ret)
{
    struct coded_item item;

    int r = items_next(items, ITEM_NUMBER, &item);
    if (r < 0 || item.number > limit)
        return -EBADMSG;
    *ret = item.number;
    return 0;
}

int items_number32(struct items *items, uint32_t *ret)
{
    uint64_t number;

    int r = items_number(items, UINT32_MAX, &number);
    if (r == 0)
        *ret = (uint32_t)number;
    return r;
}

int items_signed(struct items *items, int64_t *ret)
{
    struct coded_item item;

    int r = next(items, &item);
    bool is_number = r == 0 && (item.kind == ITEM_NUMBER || item.kind == ITEM_NEGATIVE);
    if (!is_number || item.number > INT64_MAX)
        return -EBADMSG;
    int64_t number = (int64_t)item.number;
    *ret = item.kind == ITEM_NEGATIVE ? -1 - number : number;
    return 0;
}

int items_bytes(struct items *items, uint8_t *ret, size_t size)
{
    struct coded_item item;

    int r = items_next(items, ITEM_BYTES, &item);
    if (r < 0 || item.number != size)
        return -EBADMSG;
    memcpy(ret, item.bytes, size);
    return 0;
}

int items_string(struct items *items, enum item_kind kind, char **ret)
{
    struct coded_item item;

    int r = items_next(items, kind, &item);
    if (r < 0 || memchr(item.bytes, '\0', item.number))
        return -EBADMSG;
    *ret = strndup((const char *)item.bytes, item.number);
    return *ret ? 0 : -ENOMEM;
}

int items_expect_text(struct items *items, const char *text)
{
    struct coded_item item;

    int r = items_next(items, ITEM_TEXT, &item);
    bool is_it =
        r == 0 && item.number == strlen(text) && memcmp(item.bytes, text, item.number) == 0;
    return is_it ? 0 : -EBADMSG;
}

int items_expect(struct items *items, enum item_kind kind, uint64_t count)
{
    struct coded_item item;

    int r = items_next(items, kind, &item);
    return r == 0 && item.number == count ? 0 : -EBADMSG;
}
