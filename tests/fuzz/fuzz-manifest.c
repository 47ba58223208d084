/* SPDX-License-Identifier: MIT */
/*
 * manifest_read: whatever it accepts is written to the same bytes, and its names are names.
 *
 *     how 1 (bit 0: the bytes are taken as they are; otherwise zeros come behind, as they have to)
 *     the content
 *
 * Each object's id is the same ten bytes, so that a fuzzer can make up names.
 */
#include "fuzz.h"

#include "seal/manifest.h"

#include <errno.h>
#include <string.h>

enum { UNIT = 1 << 10 };

int seal_path_id(const struct seal_keys *keys, const char *path, uint8_t ret[PATH_ID_SIZE])
{
    CHECK(*path && *path != '/');
    memset(ret, 'i', PATH_ID_SIZE);
    return 0;
}

bool seal_equal(const void *left, const void *right, size_t size)
{
    return memcmp(left, right, size) == 0;
}

static void check_attributes(const struct manifest_attributes *attributes)
{
    mode_t mode = attributes->mode;

    CHECK(S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || S_ISFIFO(mode) || S_ISSOCK(mode) ||
          S_ISCHR(mode) || S_ISBLK(mode));
    CHECK(!attributes->target == !S_ISLNK(mode));
    CHECK(!attributes->target || *attributes->target);
    CHECK(attributes->size <= INT64_MAX);
    CHECK(S_ISREG(mode) || (attributes->size == 0 && !attributes->has_link));
}

static void check_entry(const struct manifest *manifest, size_t i)
{
    const struct manifest_entry *entry = &manifest->entries[i];

    CHECK(*entry->name && !strchr(entry->name, '/'));
    CHECK(strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0);
    CHECK(i == 0 || strcmp(manifest->entries[i - 1].name, entry->name) < 0);
    CHECK(manifest_find(manifest, entry->name) == entry);
    CHECK(!S_ISDIR(entry->attributes.mode) || entry->attributes.mode == S_IFDIR);
    check_attributes(&entry->attributes);
}

static void check_manifest(const struct manifest *manifest, const uint8_t *bytes, size_t size)
{
    uint8_t *written;
    size_t written_size;

    CHECK(size > 0 && size % UNIT == 0);
    CHECK(manifest_write(manifest, &written, &written_size) == 0);
    CHECK(written_size == size && memcmp(written, bytes, size) == 0);
    free(written);
    CHECK(S_ISDIR(manifest->self.mode));
    check_attributes(&manifest->self);
    for (size_t i = 0; i < manifest->count; i++)
        check_entry(manifest, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    bool as_it_is = take_byte(&input) & 1;
    size_t whole = as_it_is ? input.left : (input.left + UNIT - 1) / UNIT * UNIT;
    struct manifest manifest;

    uint8_t *bytes = calloc(1, whole ? whole : 1);
    CHECK(bytes);
    if (input.left > 0)
        memcpy(bytes, input.data, input.left);
    int r = manifest_read(NULL, bytes, whole, &manifest);
    CHECK(r == 0 || r == -EBADMSG);
    if (r == 0)
        check_manifest(&manifest, bytes, whole);
    manifest_clear(&manifest);
    free(bytes);
    return 0;
}
