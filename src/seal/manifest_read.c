/* SPDX-License-Identifier: MIT */
/*
 * Items are read one by one, in any encoding and any order of fields. At the end, the bytes are
 * compared with what would be written for what was read. So nothing nests deeper than allowed, and
 * no count is trusted before its bytes are there.
 */
#include "seal/manifest.h"

#include "seal/items.h"
#include "seal/manifest_fields.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES_AT_FIRST = 16 };

struct input {
    const struct seal_keys *keys;
    struct items items;
};

static int read_device(struct items *items, struct manifest_attributes *ret)
{
    int r = items_expect(items, ITEM_ARRAY, 2);

    if (r == 0)
        r = items_number32(items, &ret->major);
    return r < 0 ? r : items_number32(items, &ret->minor);
}

/* An extended attribute that owns its name. */
struct named {
    char *name;
    struct coded_item value;
};

struct list {
    struct named *items;
    size_t count, places;
};

static void list_clear(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].name);
    free(list->items);
}

/* Returns ITEMS with room for one more of SIZE bytes, all zero, behind COUNT; NULL: no memory. */
static void *make_place(void *items, size_t size, size_t count, size_t *places)
{
    if (count == *places) {
        size_t more = count > 0 ? 2 * count : PLACES_AT_FIRST;
        items = reallocarray(items, more, size);
        *places = items ? more : count;
    }
    if (items)
        memset((char *)items + count * size, 0, size);
    return items;
}

static int read_named(struct items *items, struct list *list)
{
    struct named *grown = make_place(list->items, sizeof *list->items, list->count, &list->places);
    if (!grown)
        return -ENOMEM;
    list->items = grown;
    struct named *named = &grown[list->count++];
    int r = items_string(items, ITEM_BYTES, &named->name);
    if (r == 0)
        r = items_next(items, ITEM_BYTES, &named->value);
    return r < 0 || (*named->name && named->value.number <= UINT32_MAX) ? r : -EBADMSG;
}

static int compare_named(const void *left, const void *right)
{
    return strcmp(((const struct named *)left)->name, ((const struct named *)right)->name);
}

static int read_xattrs(struct items *items, struct xattrs *ret)
{
    CLEANUP(list_clear) struct list list = {0};
    struct coded_item map;

    int r = items_next(items, ITEM_MAP, &map);
    for (uint64_t i = 0; r == 0 && i < map.number; i++)
        r = read_named(items, &list);
    if (r == 0 && list.count > 0)
        qsort(list.items, list.count, sizeof *list.items, compare_named);
    for (size_t i = 0; r == 0 && i < list.count; i++) {
        const struct named *named = &list.items[i];
        bool twice = i > 0 && compare_named(named - 1, named) == 0;
        r = twice ? -EBADMSG
                  : xattrs_add(ret, named->name, (const char *)named->value.bytes,
                               named->value.number);
    }
    return r;
}

static int read_field_name(struct items *items, enum field *ret)
{
    struct coded_item item;

    int r = items_next(items, ITEM_TEXT, &item);
    for (unsigned i = 0; r == 0 && i < FIELDS; i++) {
        const char *name = manifest_field_names[i];
        if (item.number == strlen(name) && memcmp(item.bytes, name, item.number) == 0) {
            *ret = (enum field)i;
            return 0;
        }
    }
    return -EBADMSG;
}

/* Sets RET_NAME to NULL if there is none. */
static int read_field(struct items *items, enum field field, char **ret_name,
                      struct manifest_attributes *ret)
{
    uint64_t mode = 0;
    int r;

    switch (field) {
    case FIELD_ID:
        return items_bytes(items, ret->id, PATH_ID_SIZE);
    case FIELD_GID:
        return items_number32(items, &ret->gid);
    case FIELD_UID:
        return items_number32(items, &ret->uid);
    case FIELD_LINK:
        ret->has_link = true;
        return items_bytes(items, ret->link, LINK_ID_SIZE);
    case FIELD_MODE:
        r = items_number(items, S_IFMT | ALLPERMS, &mode);
        ret->mode = (mode_t)mode;
        return r;
    case FIELD_NAME:
        return ret_name ? items_string(items, ITEM_BYTES, ret_name) : -EBADMSG;
    case FIELD_SIZE:
        return items_number(items, INT64_MAX, &ret->size);
    case FIELD_USER:
        return items_string(items, ITEM_TEXT, &ret->user);
    case FIELD_GROUP:
        return items_string(items, ITEM_TEXT, &ret->group);
    case FIELD_MTIME:
        return items_signed(items, &ret->mtime_ns);
    case FIELD_DEVICE:
        return read_device(items, ret);
    case FIELD_TARGET:
        r = items_string(items, ITEM_BYTES, &ret->target);
        return r == 0 && !*ret->target ? -EBADMSG : r;
    case FIELD_XATTRS:
        return read_xattrs(items, &ret->xattrs);
    case FIELDS:
        break;
    }
    return -EBADMSG;
}

/* Reads exactly the fields that an object of this mode has, each once. */
static int read_attributes(struct items *items, char **ret_name, struct manifest_attributes *ret)
{
    unsigned fields = 0;
    enum field field;
    struct coded_item map;

    int r = items_next(items, ITEM_MAP, &map);
    for (uint64_t i = 0; r == 0 && i < map.number; i++) {
        r = read_field_name(items, &field);
        if (r == 0)
            r = fields & 1U << field ? -EBADMSG : read_field(items, field, ret_name, ret);
        if (r == 0)
            fields |= 1U << field;
    }
    if (r < 0)
        return r;
    return fields && fields == manifest_fields(ret, ret_name) ? 0 : -EBADMSG;
}

static bool is_name(const char *name, size_t length)
{
    bool dots =
        (length == 1 && name[0] == '.') || (length == 2 && name[0] == '.' && name[1] == '.');

    return length > 0 && !dots && !memchr(name, '/', length);
}

/* Returns true if PATH is names with single slashes between them, or "", the root. */
static bool is_path(const char *path)
{
    for (const char *at = path; *path;) {
        size_t length = (size_t)(strchrnul(at, '/') - at);
        if (!is_name(at, length))
            return false;
        if (!at[length])
            return true;
        at += length + 1;
    }
    return true;
}

/* Checks that the id follows from path and name. */
static int check_id(const struct input *input, const char *path, const struct manifest_entry *entry)
{
    cleanup_free char *whole = NULL;
    uint8_t id[PATH_ID_SIZE];

    if (asprintf(&whole, "%s%s%s", path, *path ? "/" : "", entry->name) < 0)
        return -ENOMEM;
    int r = seal_path_id(input->keys, whole, id);
    if (r < 0)
        return r;
    return seal_equal(id, entry->attributes.id, sizeof id) ? 0 : -EBADMSG;
}

static int read_entry(struct input *input, const char *path, const struct manifest_entry *before,
                      struct manifest_entry *ret)
{
    int r = read_attributes(&input->items, &ret->name, &ret->attributes);
    if (r < 0)
        return r;
    if (!is_name(ret->name, strlen(ret->name)) || (before && strcmp(before->name, ret->name) >= 0))
        return -EBADMSG;
    bool has_id = manifest_fields(&ret->attributes, true) & FIELD(ID);
    return has_id ? check_id(input, path, ret) : 0;
}

static int read_entries(struct input *input, struct manifest *ret)
{
    size_t places = 0;
    struct coded_item array;

    int r = items_next(&input->items, ITEM_ARRAY, &array);
    for (uint64_t i = 0; r == 0 && i < array.number; i++) {
        struct manifest_entry *grown =
            make_place(ret->entries, sizeof *ret->entries, ret->count, &places);
        if (!grown)
            return -ENOMEM;
        ret->entries = grown;
        struct manifest_entry *entry = &grown[ret->count++];
        r = read_entry(input, ret->path, i > 0 ? entry - 1 : NULL, entry);
    }
    return r;
}

static int compare_ids(const void *left, const void *right)
{
    return memcmp(((const struct manifest_id *)left)->id, ((const struct manifest_id *)right)->id,
                  PATH_ID_SIZE);
}

/* Makes the sorted list of ids. */
static int sort_ids(struct manifest *ret)
{
    ret->ids = calloc(ret->count + 1, sizeof *ret->ids);
    if (!ret->ids)
        return -ENOMEM;
    for (size_t i = 0; i < ret->count; i++) {
        const struct manifest_attributes *attributes = &ret->entries[i].attributes;
        if (!S_ISREG(attributes->mode) && !S_ISDIR(attributes->mode))
            continue;
        struct manifest_id *next = &ret->ids[ret->id_count++];
        memcpy(next->id, attributes->id, PATH_ID_SIZE);
        next->place = i;
    }
    qsort(ret->ids, ret->id_count, sizeof *ret->ids, compare_ids);
    return 0;
}

const struct manifest_entry *manifest_find_id(const struct manifest *manifest,
                                              const uint8_t id[PATH_ID_SIZE])
{
    struct manifest_id wanted = {.place = 0};

    memcpy(wanted.id, id, PATH_ID_SIZE);
    const struct manifest_id *found =
        bsearch(&wanted, manifest->ids, manifest->id_count, sizeof wanted, compare_ids);
    return found ? &manifest->entries[found->place] : NULL;
}

int manifest_read(const struct seal_keys *keys, const uint8_t *bytes, size_t size,
                  struct manifest *ret)
{
    struct input input = {keys, items_of(bytes, size)};
    uint64_t version;

    *ret = NO_MANIFEST;
    int r = items_expect(&input.items, ITEM_MAP, MANIFEST_MEMBERS);
    if (r == 0)
        r = items_expect_text(&input.items, "path");
    if (r == 0)
        r = items_string(&input.items, ITEM_BYTES, &ret->path);
    if (r == 0)
        r = is_path(ret->path) ? items_expect_text(&input.items, "self") : -EBADMSG;
    if (r == 0)
        r = read_attributes(&input.items, NULL, &ret->self);
    if (r == 0)
        r = S_ISDIR(ret->self.mode) ? items_expect_text(&input.items, "entries") : -EBADMSG;
    if (r == 0)
        r = read_entries(&input, ret);
    if (r == 0)
        r = items_expect_text(&input.items, "version");
    if (r == 0)
        r = items_number(&input.items, MANIFEST_VERSION, &version);
    if (r == 0)
        r = manifest_compare(ret, bytes, size);
    return r < 0 ? r : sort_ids(ret);
}
