/* SPDX-License-Identifier: MIT */
#include "seal/manifest.h"

#include "seal/manifest_fields.h"

#include <cbor.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEAD_SIZE_MAX = 9,         /* of an item's head: its type and its number or length */
    ROOM_AT_FIRST = 16 * 1024, /* bytes: most directories need no more */
};

/* Where the bytes go. Once RESULT is below 0, nothing is added. */
struct output {
    uint8_t *bytes;
    const uint8_t *expected; /* not NULL: compare with these ROOM bytes instead of writing */
    size_t size, room;
    int result;
};

static int make_room(struct output *output, size_t size)
{
    size_t room = output->room > 0 ? output->room : ROOM_AT_FIRST;

    while (room - output->size < size)
        room *= 2;
    uint8_t *bytes = room > output->room ? realloc(output->bytes, room) : output->bytes;
    if (!bytes)
        return -ENOMEM;
    output->bytes = bytes;
    output->room = room;
    return 0;
}

static void put_raw(struct output *output, const void *bytes, size_t size)
{
    if (output->result < 0 || size == 0)
        return;
    if (output->expected) {
        bool equal = size <= output->room - output->size &&
                     memcmp(output->expected + output->size, bytes, size) == 0;
        output->result = equal ? 0 : -EBADMSG;
    } else {
        output->result = make_room(output, size);
        if (output->result == 0)
            memcpy(output->bytes + output->size, bytes, size);
    }
    output->size += size;
}

/* Puts an item's head, by HEAD of cbor_encode_..., which chooses the shortest encoding. */
#define PUT_HEAD(output, head, number)                                                             \
    do {                                                                                           \
        uint8_t bytes_[HEAD_SIZE_MAX];                                                             \
        put_raw(output, bytes_, head(number, bytes_, sizeof bytes_));                              \
    } while (0)

static void put_number(struct output *output, uint64_t number)
{
    PUT_HEAD(output, cbor_encode_uint, number);
}

static void put_signed(struct output *output, int64_t number)
{
    if (number >= 0)
        put_number(output, (uint64_t)number);
    else
        PUT_HEAD(output, cbor_encode_negint, (uint64_t)(-1 - number));
}

static void put_bytes(struct output *output, const void *bytes, size_t size)
{
    PUT_HEAD(output, cbor_encode_bytestring_start, size);
    put_raw(output, bytes, size);
}

static void put_text(struct output *output, const char *text)
{
    size_t length = strlen(text);

    PUT_HEAD(output, cbor_encode_string_start, length);
    put_raw(output, text, length);
}

/* Orders by encoded names, whose heads differ if their lengths do. */
static int compare_encoded(const void *left, const void *right)
{
    const struct xattr *a = left, *b = right;
    size_t a_length = strlen(a->name), b_length = strlen(b->name);

    if (a_length != b_length)
        return a_length < b_length ? -1 : 1;
    return memcmp(a->name, b->name, a_length);
}

static void put_xattrs(struct output *output, const struct xattrs *xattrs)
{
    struct xattr entry;
    size_t count = 0, i = 0;

    for (const char *at = xattrs->bytes; xattrs_next(xattrs, &at, &entry);)
        count++;
    PUT_HEAD(output, cbor_encode_map_start, count);
    cleanup_free struct xattr *sorted = calloc(count + 1, sizeof *sorted);
    if (!sorted) {
        output->result = -ENOMEM;
        return;
    }
    for (const char *at = xattrs->bytes; xattrs_next(xattrs, &at, &sorted[i]);)
        i++;
    qsort(sorted, count, sizeof *sorted, compare_encoded);
    for (i = 0; i < count; i++) {
        put_bytes(output, sorted[i].name, strlen(sorted[i].name));
        put_bytes(output, sorted[i].value, sorted[i].size);
    }
}

static void put_field(struct output *output, enum field field, const char *name,
                      const struct manifest_attributes *attributes)
{
    bool type_alone = name && S_ISDIR(attributes->mode);

    put_text(output, manifest_field_names[field]);
    switch (field) {
    case FIELD_ID:
        put_bytes(output, attributes->id, PATH_ID_SIZE);
        break;
    case FIELD_GID:
        put_number(output, attributes->gid);
        break;
    case FIELD_UID:
        put_number(output, attributes->uid);
        break;
    case FIELD_LINK:
        put_bytes(output, attributes->link, LINK_ID_SIZE);
        break;
    case FIELD_MODE:
        put_number(output, type_alone ? S_IFDIR : attributes->mode);
        break;
    case FIELD_NAME:
        put_bytes(output, name, strlen(name));
        break;
    case FIELD_SIZE:
        put_number(output, attributes->size);
        break;
    case FIELD_USER:
        put_text(output, attributes->user);
        break;
    case FIELD_GROUP:
        put_text(output, attributes->group);
        break;
    case FIELD_MTIME:
        put_signed(output, attributes->mtime_ns);
        break;
    case FIELD_DEVICE:
        PUT_HEAD(output, cbor_encode_array_start, 2);
        put_number(output, attributes->major);
        put_number(output, attributes->minor);
        break;
    case FIELD_TARGET:
        put_bytes(output, attributes->target, strlen(attributes->target));
        break;
    case FIELD_XATTRS:
        put_xattrs(output, &attributes->xattrs);
        break;
    case FIELDS:
        break;
    }
}

/* NAME: the entry's; NULL: these are `self`. */
static void put_attributes(struct output *output, const char *name,
                           const struct manifest_attributes *attributes)
{
    unsigned fields = manifest_fields(attributes, name);

    PUT_HEAD(output, cbor_encode_map_start, (size_t)__builtin_popcount(fields));
    for (unsigned i = 0; i < FIELDS; i++) {
        if (fields & 1U << i)
            put_field(output, (enum field)i, name, attributes);
    }
}

static void put_manifest(struct output *output, const struct manifest *manifest)
{
    static const uint8_t zeros[MANIFEST_UNIT];

    PUT_HEAD(output, cbor_encode_map_start, MANIFEST_MEMBERS);
    put_text(output, "path");
    put_bytes(output, manifest->path, strlen(manifest->path));
    put_text(output, "self");
    put_attributes(output, NULL, &manifest->self);
    put_text(output, "entries");
    PUT_HEAD(output, cbor_encode_array_start, manifest->count);
    for (size_t i = 0; i < manifest->count && output->result == 0; i++)
        put_attributes(output, manifest->entries[i].name, &manifest->entries[i].attributes);
    put_text(output, "version");
    put_number(output, MANIFEST_VERSION);
    put_raw(output, zeros, -output->size % MANIFEST_UNIT);
}

int manifest_write(const struct manifest *manifest, uint8_t **ret, size_t *ret_size)
{
    struct output output = {0};

    put_manifest(&output, manifest);
    if (output.result < 0) {
        free(output.bytes);
        return output.result;
    }
    *ret = output.bytes;
    *ret_size = output.size;
    return 0;
}

int manifest_compare(const struct manifest *manifest, const uint8_t *bytes, size_t size)
{
    struct output output = {.expected = bytes, .room = size};

    put_manifest(&output, manifest);
    if (output.result < 0)
        return output.result;
    return output.size == size ? 0 : -EBADMSG;
}
