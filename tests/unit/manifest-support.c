/* SPDX-License-Identifier: MIT */
#include "manifest-support.h"

json_t *sealed_vectors;
struct seal_keys *keys;
uint8_t *content; /* the vector's */
size_t content_size;

uint8_t *bytes_of_hex(const char *hex, size_t *ret_size)
{
    assert_non_null(hex);
    *ret_size = strlen(hex) / 2;
    uint8_t *bytes = exact_bytes(*ret_size);
    for (size_t i = 0; i < *ret_size; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        bytes[i] = (uint8_t)byte;
    }
    return bytes;
}

const json_t *sealed_vector(void)
{
    return json_object_get(sealed_vectors, "manifest");
}

int64_t vector_number(const char *key)
{
    return json_integer_value(json_object_get(sealed_vector(), key));
}

int manifest_set_up(void **state)
{
    size_t size;

    support_set_up(state);
    sealed_vectors = json_load_file(SEALED_VECTORS, 0, NULL);
    assert_non_null(sealed_vectors);
    cleanup_free uint8_t *master =
        bytes_of_hex(json_string_value(json_object_get(sealed_vectors, "master")), &size);
    assert_int_equal(size, KEY_SIZE);
    assert_int_equal(seal_start(), 0);
    assert_int_equal(seal_keys_new(master, &keys), 0);
    content =
        bytes_of_hex(json_string_value(json_object_get(sealed_vector(), "content")), &content_size);
    return 0;
}

int manifest_tear_down(void **state)
{
    free(content);
    seal_keys_free(keys);
    json_decref(sealed_vectors);
    return 0;
}

static struct manifest_entry entry_of(const char *directory, const char *name, mode_t mode)
{
    struct manifest_entry entry = {
        .name = strdup(name),
        .attributes = {.mode = mode, .uid = 1000, .gid = 100},
    };
    struct manifest_attributes *attributes = &entry.attributes;

    attributes->mtime_ns = vector_number("ctime_ns") - 7; /* as the vectors' mtime_ns */
    if (!S_ISDIR(mode)) {
        attributes->user = strdup("me");
        attributes->group = strdup("users");
    }
    cleanup_free char *path = NULL;
    assert_true(asprintf(&path, "%s%s%s", directory, *directory ? "/" : "", name) > 0);
    if (S_ISREG(mode) || S_ISDIR(mode))
        assert_int_equal(seal_path_id(keys, path, attributes->id), 0);
    return entry;
}

struct manifest new_manifest(const char *path, size_t places)
{
    struct manifest manifest = {.path = strdup(path)};

    manifest.self = (struct manifest_attributes){
        .mode = S_IFDIR | 0755,
        .uid = 1000,
        .gid = 100,
        .user = strdup("me"),
        .group = strdup("users"),
        .mtime_ns = vector_number("ctime_ns") - 7,
    };
    manifest.entries = calloc(places + 1, sizeof *manifest.entries);
    assert_non_null(manifest.entries);
    return manifest;
}

struct manifest_attributes *new_entry(struct manifest *manifest, const char *name, mode_t mode)
{
    struct manifest_entry *entry = &manifest->entries[manifest->count++];

    *entry = entry_of(manifest->path, name, mode);
    return &entry->attributes;
}

void assert_written(const struct manifest *manifest, const uint8_t *expected, size_t size)
{
    cleanup_free uint8_t *written = NULL;
    size_t written_size;

    assert_int_equal(manifest_write(manifest, &written, &written_size), 0);
    assert_int_equal(written_size, size);
    assert_memory_equal(written, expected, size);
}

int read_exact(const uint8_t *bytes, size_t size)
{
    cleanup_free uint8_t *copy = exact_copy(bytes, size);
    cleanup_manifest struct manifest manifest = NO_MANIFEST;

    int r = manifest_read(keys, copy, size, &manifest);
    assert_true(r == 0 || r == -EBADMSG);
    if (r == 0)
        assert_written(&manifest, bytes, size);
    return r;
}
