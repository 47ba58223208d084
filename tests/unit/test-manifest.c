/* SPDX-License-Identifier: MIT */
/* Manifests: that of tests/vectors/sealed.json, made by another implementation, and any others,
 * there and back. */
#include "manifest-support.h"

#include "share/block.h"
#include "share/format.h"
#include "share/stripe.h"

static void add_xattr(struct manifest_attributes *attributes, const char *name, const char *value)
{
    assert_int_equal(xattrs_add(&attributes->xattrs, name, value, strlen(value)), 0);
}

static struct manifest the_vector(void)
{
    static const uint8_t link[] = {0xf4, 0x67, 0xa5, 0xd3, 0x4c, 0x66, 0xe5, 0x7e};
    struct manifest manifest = new_manifest("Documents", 5);

    struct manifest_attributes *latest = new_entry(&manifest, "latest", S_IFLNK | 0777);
    latest->target = strdup("notes.txt");
    latest->mtime_ns++;
    struct manifest_attributes *notes = new_entry(&manifest, "notes.txt", S_IFREG | 0644);
    notes->size = 10;
    add_xattr(notes, "user.colour", "blue");
    struct manifest_attributes *null = new_entry(&manifest, "null", S_IFCHR | 0666);
    null->uid = null->gid = 0;
    free(null->user);
    free(null->group);
    null->user = strdup("root");
    null->group = strdup("root");
    null->mtime_ns = -1;
    null->major = 1;
    null->minor = 3;
    new_entry(&manifest, "old", S_IFDIR | 0711);
    struct manifest_attributes *twice = new_entry(&manifest, "twice", S_IFREG | 0600);
    twice->has_link = true;
    memcpy(twice->link, link, sizeof link);
    return manifest;
}

static void test_vector_is_written(void **state)
{
    cleanup_manifest struct manifest manifest = the_vector();

    assert_written(&manifest, content, content_size);
    assert_int_equal(content_size, UNIT);
}

static void test_vector_is_read(void **state)
{
    cleanup_manifest struct manifest manifest = NO_MANIFEST;
    struct xattr xattr;

    assert_int_equal(manifest_read(keys, content, content_size, &manifest), 0);
    assert_string_equal(manifest.path, "Documents");
    assert_int_equal(manifest.self.mode, S_IFDIR | 0755);
    assert_string_equal(manifest.self.user, "me");
    assert_int_equal(manifest.count, 5);
    const struct manifest_attributes *null = &manifest_find(&manifest, "null")->attributes;
    assert_int_equal(null->mtime_ns, -1);
    assert_int_equal(null->major, 1);
    assert_int_equal(null->minor, 3);
    const struct manifest_attributes *notes = &manifest_find(&manifest, "notes.txt")->attributes;
    assert_int_equal(notes->size, 10);
    assert_true(xattrs_find(&notes->xattrs, "user.colour", &xattr));
    assert_int_equal(xattr.size, 4);
    assert_string_equal(manifest_find(&manifest, "latest")->attributes.target, "notes.txt");
    assert_int_equal(manifest_find(&manifest, "old")->attributes.mode, S_IFDIR);
    assert_true(manifest_find(&manifest, "twice")->attributes.has_link);
    assert_null(manifest_find(&manifest, "other"));
    assert_written(&manifest, content, content_size);
}

static uint8_t *seal_share(const struct share_header *header)
{
    const struct share_layout *layout = &header->layout;
    size_t header_size = layout->header_size, payload = layout_payload_size(layout, 0);
    cleanup_encoder struct encoder *encoder = NULL;
    uint8_t tag[TAG_SIZE], bytes[HEADER_SIZE_MAX], *share = exact_bytes(layout_share_size(layout));
    cleanup_free uint8_t *data = exact_bytes(layout->required * payload);
    uint8_t *block = share + header_size;

    header_write(header, bytes);
    memcpy(share, bytes, header_size);
    memcpy(data, content, content_size);
    struct seal_place place = seal_place_of_manifest(keys, share);
    assert_int_equal(seal_stripe(&place, 0, true, data, content_size, tag), 0);
    assert_int_equal(encoder_new(layout, 1, &header->index, &encoder), 0);
    assert_int_equal(encoder_run(encoder, 0, data, tag, &block), 0);
    return share;
}

static void test_vector_is_shared(void **state)
{
    const char *index;
    uint32_t fraction;
    json_t *hex;
    unsigned count = 0;
    struct share_header header = {.mtime_ns = vector_number("time_ns")};

    assert_int_equal(seal_time_fraction(keys, content, content_size, &fraction), 0);
    assert_int_equal(vector_number("ctime_ns") / 1000000 * 1000000 + fraction,
                     vector_number("time_ns"));
    assert_int_equal(layout_new(SHARE_SEALED, (unsigned)vector_number("k"), 20,
                                (uint32_t)vector_number("block"), content_size, &header.layout),
                     0);
    json_object_foreach(json_object_get(sealed_vector(), "shares"), index, hex)
    {
        size_t size;
        cleanup_free uint8_t *expected = bytes_of_hex(json_string_value(hex), &size);
        header.index = (uint8_t)atoi(index);
        cleanup_free uint8_t *share = seal_share(&header);
        assert_int_equal(size, layout_share_size(&header.layout));
        assert_memory_equal(share, expected, size);
        count++;
    }
    assert_int_equal(count, 2);
}

/* Others, there and back */

static char *random_text(size_t size)
{
    char *text = (char *)exact_bytes(size + 1);

    for (size_t i = 0; i < size; i++)
        text[i] = (char)random_between('A', 'z');
    text[size] = '\0';
    return text;
}

static int compare_text(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Up to five, in the order of their names; lengths about those where heads grow, too. */
static void add_random_xattrs(struct manifest_attributes *attributes)
{
    static const size_t lengths[] = {4, 23, 24, 25, 254, 255, 256, 9, 22};
    char *names[5];
    size_t count = random_below(COUNT_OF(names) + 1);

    for (size_t i = 0; i < count; i++)
        names[i] = random_text(lengths[random_below(COUNT_OF(lengths))]);
    qsort(names, count, sizeof *names, compare_text);
    for (size_t i = 0; i < count; i++) {
        uint8_t value[300];
        size_t size = random_below(sizeof value);
        random_fill(value, size);
        if (i == 0 || strcmp(names[i - 1], names[i]) != 0)
            assert_int_equal(xattrs_add(&attributes->xattrs, names[i], (char *)value, size), 0);
    }
    for (size_t i = 0; i < count; i++)
        free(names[i]);
}

static uint64_t random_number(void)
{
    return random_next() >> random_below(64);
}

static void fill_random(struct manifest_attributes *attributes)
{
    attributes->uid = (uid_t)random_number();
    attributes->gid = (gid_t)random_number();
    attributes->mtime_ns = (int64_t)random_number() * (random_below(2) ? 1 : -1);
    attributes->size = S_ISREG(attributes->mode) ? random_number() & INT64_MAX : 0;
    attributes->has_link = S_ISREG(attributes->mode) && random_below(2);
    if (attributes->has_link)
        random_fill(attributes->link, sizeof attributes->link);
    if (S_ISCHR(attributes->mode) || S_ISBLK(attributes->mode)) {
        attributes->major = (uint32_t)random_number();
        attributes->minor = (uint32_t)random_number();
    }
    if (S_ISLNK(attributes->mode))
        attributes->target = random_text(random_between(1, 300));
    add_random_xattrs(attributes);
}

static void assert_attributes(const struct manifest_attributes *a,
                              const struct manifest_attributes *b)
{
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->uid, b->uid);
    assert_int_equal(a->gid, b->gid);
    assert_true(a->mtime_ns == b->mtime_ns);
    assert_true(a->size == b->size);
    assert_memory_equal(a->id, b->id, sizeof a->id);
    assert_int_equal(a->major, b->major);
    assert_int_equal(a->minor, b->minor);
    assert_int_equal(a->has_link, b->has_link);
    assert_memory_equal(a->link, b->link, sizeof a->link);
    assert_true(xattrs_are_equal(&a->xattrs, &b->xattrs));
    assert_string_equal(a->target ? a->target : "", b->target ? b->target : "");
}

static void assert_there_and_back(const struct manifest *manifest)
{
    cleanup_manifest struct manifest read = NO_MANIFEST;
    cleanup_free uint8_t *bytes = NULL;
    size_t size;

    assert_int_equal(manifest_write(manifest, &bytes, &size), 0);
    assert_int_equal(size % UNIT, 0);
    assert_int_equal(manifest_read(keys, bytes, size, &read), 0);
    assert_string_equal(read.path, manifest->path);
    assert_attributes(&read.self, &manifest->self);
    assert_int_equal(read.count, manifest->count);
    for (size_t i = 0; i < read.count; i++) {
        assert_string_equal(read.entries[i].name, manifest->entries[i].name);
        if (!S_ISDIR(read.entries[i].attributes.mode))
            assert_attributes(&read.entries[i].attributes, &manifest->entries[i].attributes);
        assert_ptr_equal(manifest_find(&read, read.entries[i].name), &read.entries[i]);
    }
    assert_written(&read, bytes, size);
}

static void test_random_ones(void **state)
{
    static const mode_t types[] = {S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK};

    for (unsigned round = 0; round < 200; round++) {
        size_t count = random_below(40);
        cleanup_manifest struct manifest manifest = new_manifest(round % 3 ? "a/b" : "", count);
        fill_random(&manifest.self);
        for (size_t i = 0; i < count; i++) {
            cleanup_free char *name = NULL;
            assert_true(asprintf(&name, "%03zu\xff\x01%0*d", i, (int)random_below(250), 0) > 0);
            fill_random(
                new_entry(&manifest, name,
                          types[random_below(COUNT_OF(types))] | (mode_t)random_below(010000)));
        }
        assert_there_and_back(&manifest);
    }
}

/* A user's name that is no text is left out, and one that only looks like none is not. */
static void test_names_of_owners(void **state)
{
    static const struct {
        const char *user;
        bool is_text;
    } users[] = {
        {"", true},          {"J\xc3\xb6rg", true},   {"\xf0\x9f\x90\xa2", true},
        {"J\xf6rg", false},  {"\xc3", false},         {"\xc0\x80", false},
        {"\x80", false},     {"\xed\xa0\x80", false}, {"\xf4\x90\x80\x80", false},
        {"\xe2\x82", false}, {"\xff", false},         {"\xf4\x8f\xbf\xbf", true},
    };

    for (size_t i = 0; i < COUNT_OF(users); i++) {
        cleanup_manifest struct manifest manifest = new_manifest("", 0), read = NO_MANIFEST;
        cleanup_free uint8_t *bytes = NULL;
        size_t size;
        free(manifest.self.user);
        manifest.self.user = strdup(users[i].user);
        assert_int_equal(manifest_write(&manifest, &bytes, &size), 0);
        assert_int_equal(manifest_read(keys, bytes, size, &read), 0);
        assert_int_equal(read.self.user != NULL, users[i].is_text);
        assert_string_equal(read.self.group, "users");
    }
}

static void test_large_directory(void **state)
{
    enum { COUNT = 20000 };
    cleanup_manifest struct manifest manifest = new_manifest("", COUNT);

    for (unsigned i = 0; i < COUNT; i++) {
        char name[32];
        snprintf(name, sizeof name, "%08u", i);
        new_entry(&manifest, name, S_IFREG | 0644);
    }
    assert_there_and_back(&manifest);
}

/* Contents of each length around a multiple of the unit. */
static void test_sizes(void **state)
{
    bool whole = false;

    for (size_t length = UNIT - 120; length <= UNIT + 4; length++) {
        cleanup_manifest struct manifest manifest = new_manifest("", 1);
        cleanup_free uint8_t *bytes = NULL;
        size_t size;
        struct manifest_attributes *link = new_entry(&manifest, "a", S_IFLNK | 0777);
        link->target = random_text(length - UNIT / 8);
        assert_int_equal(manifest_write(&manifest, &bytes, &size), 0);
        assert_int_equal(read_exact(bytes, size), 0);
        whole |= bytes[size - 1] != 0;
    }
    assert_true(whole);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector_is_written),
        cmocka_unit_test(test_vector_is_read),
        cmocka_unit_test(test_vector_is_shared),
        cmocka_unit_test(test_random_ones),
        cmocka_unit_test(test_names_of_owners),
        cmocka_unit_test(test_large_directory),
        cmocka_unit_test(test_sizes),
    };

    return cmocka_run_group_tests_name("manifest", tests, manifest_set_up, manifest_tear_down);
}
