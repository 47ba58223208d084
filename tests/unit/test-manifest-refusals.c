/* SPDX-License-Identifier: MIT */
/* Each way in which bytes are no manifest: most of them by one change of the vector's. */
#include "manifest-support.h"

/* Some bytes of a string, which may hold zeros. */
struct bytes {
    const char *at;
    size_t size;
};

#define BYTES(literal)                                                                             \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

/* Replaces the first FROM, which must be there, in SIZE bytes without padding. */
static size_t replace(uint8_t *bytes, size_t size, struct bytes from, struct bytes to)
{
    uint8_t *at = from.size > 0 ? memmem(bytes, size, from.at, from.size) : bytes;

    assert_non_null(at);
    memmove(at + to.size, at + from.size, (size_t)(bytes + size - at) - from.size);
    if (to.size > 0)
        memcpy(at, to.at, to.size);
    return size + to.size - from.size;
}

/* The vector with FROM replaced by TO, and its padding as it has to be. */
static int read_replaced(struct bytes from, struct bytes to, struct bytes end)
{
    uint8_t bytes[2 * UNIT] = {0};

    memcpy(bytes, content, CONTENT_END);
    size_t size = replace(bytes, CONTENT_END, from, to);
    if (end.size > 0)
        memcpy(bytes + size, end.at, end.size);
    size += end.size;
    memset(bytes + size, 0, sizeof bytes - size);
    return read_exact(bytes, size <= UNIT ? UNIT : 2 * UNIT);
}

struct change {
    const char *what;
    struct bytes from, to, end; /* END comes behind all */
};

#define CHANGE(what, from, to)                                                                     \
    {                                                                                              \
        what, BYTES(from), BYTES(to), BYTES("")                                                    \
    }

static const struct change refused[] = {
    /* Encodings that are not the shortest or not definite. */
    CHANGE("long number", "\x63uid\x19\x03\xe8", "\x63uid\x1a\0\0\x03\xe8"),
    CHANGE("longer number", "\x63uid\x19\x03\xe8", "\x63uid\x1b\0\0\0\0\0\0\x03\xe8"),
    CHANGE("long small number", "version\x01", "version\x18\x01"),
    CHANGE("long negative number", "mtime\x20", "mtime\x38\0"),
    CHANGE("long length of text", "\x62me", "\x78\x02me"),
    CHANGE("long length of bytes", "\111Documents", "\x58\011Documents"),
    CHANGE("long length of an array", "device\x82", "device\x98\x02"),
    CHANGE("long length of a map", "xattrs\xa1", "xattrs\xb8\x01"),
    CHANGE("endless text", "\x62me", "\x7f\x62me\xff"),
    CHANGE("endless bytes", "\111Documents", "\x5f\111Documents\xff"),
    CHANGE("endless array", "device\x82\x01\x03", "device\x9f\x01\x03\xff"),
    CHANGE("endless map", "xattrs\xa1\x4buser.colour\104blue",
           "xattrs\xbf\x4buser.colour\104blue\xff"),
    {"endless manifest", BYTES("\xa4\x64path"), BYTES("\xbf\x64path"), BYTES("\xff")},
    CHANGE("key of a long length", "\x63gid", "\x78\x03gid"),
    /* Keys. */
    CHANGE("order of keys", "\x63gid\x18\x64\x63uid\x19\x03\xe8",
           "\x63uid\x19\x03\xe8\x63gid\x18\x64"),
    CHANGE("key twice", "\xa6\x63gid\x18\x64", "\xa7\x63gid\x18\x64\x63gid\x18\x64"),
    CHANGE("text twice", "\xa6\x63gid\x18\x64", "\xa7\x63gid\x18\x64\x64user\x62me"),
    CHANGE("xattr twice", "xattrs\xa1\x4buser.colour\104blue",
           "xattrs\xa2\x4buser.colour\104blue\x4buser.colour\104blue"),
    CHANGE("order of xattrs", "xattrs\xa1\x4buser.colour\104blue",
           "xattrs\xa2\x4buser.colour\104blue\x46user.x\x40"),
    CHANGE("no xattrs", "xattrs\xa1\x4buser.colour\104blue", "xattrs\xa0"),
    CHANGE("xattr without a name", "xattrs\xa1\x4buser.colour", "xattrs\xa1\x40"),
    CHANGE("zero in an xattr's name", "user.colour", "user.c\0lour"),
    CHANGE("unknown key", "\xa6\x63gid\x18\x64", "\xa7\x63gid\x18\x64\x63pid\x01"),
    CHANGE("key that is bytes", "\x63gid", "\x43gid"),
    CHANGE("key that is a number", "\x63gid", "\x01"),
    CHANGE("missing key", "\xa6\x63gid\x18\x64", "\xa5"),
    CHANGE("unknown member", "\x64path", "\144bath"),
    CHANGE("no version", "\x67version\x01", ""),
    CHANGE("members in another order", "\xa4\x64path\111Documents", "\xa4\x67version\x01"),
    {"fifth member", BYTES("\xa4\x64path"), BYTES("\xa5\x64path"), BYTES("\x61z\x01")},
    CHANGE("another version", "version\x01", "version\x02"),
    CHANGE("version zero", "version\x01", "version\0"),
    /* Types. */
    CHANGE("path that is text", "\111Documents", "\151Documents"),
    CHANGE("name that is text", "\x49notes.txt", "\x69notes.txt"),
    CHANGE("target that is text", "target\x49", "target\x69"),
    CHANGE("user that is bytes", "\x62me", "\x42me"),
    CHANGE("user that is no text", "\x62me", "\x62m\xe9"),
    CHANGE("zero in a user", "\x62me", "\x62m\0"),
    CHANGE("xattr whose value is text", "\104blue", "\144blue"),
    CHANGE("negative uid", "\x63uid\x19\x03\xe8", "\x63uid\x39\x03\xe8"),
    CHANGE("uid of 33 bits", "\x63uid\x19\x03\xe8", "\x63uid\x1b\0\0\0\x01\0\0\x03\xe8"),
    CHANGE("tagged uid", "\x63uid\x19\x03\xe8", "\x63uid\xc1\x19\x03\xe8"),
    CHANGE("uid that is null", "\x63uid\x19\x03\xe8", "\x63uid\xf6"),
    CHANGE("mtime that is a float", "mtime\x20", "mtime\xfb\xbf\xf0\0\0\0\0\0\0"),
    CHANGE("mtime beyond 63 bits", "mtime\x20", "mtime\x3b\x80\0\0\0\0\0\0\0"),
    CHANGE("size beyond 63 bits", "size\x0a", "size\x1b\x80\0\0\0\0\0\0\0"),
    CHANGE("negative size", "size\x0a", "size\x20"),
    CHANGE("device of three", "device\x82\x01\x03", "device\x83\x01\x03\x01"),
    CHANGE("device of one", "device\x82\x01\x03", "device\x81\x01"),
    CHANGE("device of 33 bits", "device\x82\x01", "device\x82\x1b\0\0\0\x01\0\0\0\0"),
    CHANGE("id of nine bytes", "\x62id\x4a", "\x62id\x49"),
    CHANGE("link of seven bytes", "\x64link\x48\xf4", "\x64link\x47"),
    CHANGE("manifest that is an array", "\xa4\x64path", "\x84\x64path"),
    CHANGE("entries that are a map", "entries\x85", "entries\xa5"),
    /* Modes, and the fields that go with them. */
    CHANGE("self that is no directory", "\x19\x41\xed", "\x19\x11\xed"),
    CHANGE("mode without a type", "\x19\x81\xa4", "\x19\x01\xa4"),
    CHANGE("mode of 17 bits", "\x19\x81\xa4", "\x1a\0\x01\x81\xa4"),
    CHANGE("directory's entry with permissions", "mode\x19\x40\0", "mode\x19\x41\0"),
    CHANGE(
        "directory's entry with more",
        "\xa3\x62id\x4a\xdb\x86\xbc\xff\x78\x8c\x70\x7a\x66\xad\x64mode\x19\x40\0\x64name\x43old",
        "\xa4\x62id\x4a\xdb\x86\xbc\xff\x78\x8c\x70\x7a\x66\xad\x64mode\x19\x40\0\x64name\x43old"
        "\x64size\0"),
    CHANGE("socket with a device", "\x19\x21\xb6", "\x19\xc1\xb6"),
    CHANGE("file with a target", "\x19\xa1\xff", "\x19\x81\xff"),
    CHANGE("self with a name", "\xa6\x63gid\x18\x64\x63uid\x19\x03\xe8\x64mode\x19\x41\xed",
           "\xa7\x63gid\x18\x64\x63uid\x19\x03\xe8\x64mode\x19\x41\xed\x64name\x41x"),
    CHANGE("empty target", "target\x49notes.txt", "target\x40"),
    CHANGE("zero in a target", "target\x49notes.txt", "target\x49notes\0txt"),
    /* Names, paths and ids; `null` has none. */
    CHANGE("empty name", "name\x46latest", "name\x40"),
    CHANGE("one dot", "name\x46latest", "name\x41."),
    CHANGE("two dots", "name\x46latest", "name\x42.."),
    CHANGE("slash", "name\x46latest", "name\103a/b"),
    CHANGE("slash in front", "name\x46latest", "name\x42/b"),
    CHANGE("slash alone", "name\x46latest", "name\x41/"),
    CHANGE("zero", "name\x46latest", "name\103a\0b"),
    CHANGE("zero behind", "name\x46latest", "name\103ab\0"),
    CHANGE("name twice", "name\x46latest", "name\x49notes.txt"),
    CHANGE("not ascending", "name\x44null", "name\x44zero"),
    CHANGE("not ascending, shorter", "name\x44null", "name\x45notes"),
    CHANGE("another path", "Documents", "documents"),
    CHANGE("path of the root", "\111Documents", "\x40"),
    CHANGE("another name", "name\x45twice", "name\x45twicf"),
    CHANGE("another id", "\xce\xee\xe8", "\xce\xee\xe9"),
    CHANGE("another id's end", "\xb6\x4b\xf7", "\xb6\x4b\xf6"),
    /* What is claimed. */
    CHANGE("2^60 entries", "entries\x85", "entries\x9b\x10\0\0\0\0\0\0\0"),
    CHANGE("six entries", "entries\x85", "entries\x86"),
    CHANGE("four entries", "entries\x85", "entries\x84"),
    CHANGE("2^60 xattrs", "xattrs\xa1", "xattrs\xbb\x10\0\0\0\0\0\0\0"),
    CHANGE("2^60 fields", "\xa6\x63gid", "\xbb\x10\0\0\0\0\0\0\0\x63gid"),
    CHANGE("name of 2^60", "name\x46", "name\x5b\x10\0\0\0\0\0\0\0"),
    CHANGE("name of 2^64 - 1", "name\x46", "name\x5b\xff\xff\xff\xff\xff\xff\xff\xff"),
    CHANGE("2^64 - 1 entries", "entries\x85", "entries\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
    /* What is nested, and what is behind the end. */
    CHANGE("array in an array", "device\x82\x01", "device\x82\x81\x01"),
    CHANGE("map in an xattr", "\104blue", "\xa1\x41x\xa1\x41x\x40"),
    CHANGE("deep arrays", "version\x01", "version\x81\x81\x81\x81\x81\x81\x01"),
    CHANGE("manifest in a member", "entries\x85", "entries\x85\xa4\x64path"),
    {"byte behind", BYTES(""), BYTES(""), BYTES("\x01")},
    {"break behind", BYTES(""), BYTES(""), BYTES("\xff")},
    {"padding that is not zero", BYTES(""), BYTES(""), BYTES("\0\0\0\x01")},
};

static void test_changes_are_refused(void **state)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        const struct change *change = &refused[i];
        if (read_replaced(change->from, change->to, change->end) != -EBADMSG)
            fail_msg("accepted: %s", change->what);
    }
}

/* What changes as these do, and is a manifest still. */
static void test_other_values_are_read(void **state)
{
    static const struct change accepted[] = {
        CHANGE("uid", "\x63uid\x19\x03\xe8", "\x63uid\x17"),
        CHANGE("uid of 32 bits", "\x63uid\x19\x03\xe8", "\x63uid\x1a\xff\xff\xff\xff"),
        CHANGE("mtime", "mtime\x20", "mtime\x3b\x7f\xff\xff\xff\xff\xff\xff\xff"),
        CHANGE("largest size", "size\x0a", "size\x1b\x7f\xff\xff\xff\xff\xff\xff\xff"),
        CHANGE("user", "\x62me", "\144M\xc3\274e"),
        CHANGE("name", "name\x46latest", "name\x43..\xff"),
        CHANGE("target", "target\x49notes.txt", "target\x43../"),
        CHANGE("xattrs in their order", "xattrs\xa1\x4buser.colour\104blue",
               "xattrs\xa2\x46user.x\x40\x4buser.colour\104blue"),
    };

    for (size_t i = 0; i < COUNT_OF(accepted); i++) {
        const struct change *change = &accepted[i];
        if (read_replaced(change->from, change->to, change->end) != 0)
            fail_msg("refused: %s", change->what);
    }
}

static int read_written(const struct manifest *manifest)
{
    cleanup_free uint8_t *bytes = NULL;
    size_t size;

    assert_int_equal(manifest_write(manifest, &bytes, &size), 0);
    return read_exact(bytes, size);
}

static void test_paths(void **state)
{
    static const struct {
        const char *path;
        int expected;
    } paths[] = {
        {"", 0},           {"a", 0},           {"a/b", 0},           {"a/..b/.c/...", 0},
        {"/", -EBADMSG},   {"/a", -EBADMSG},   {"a/", -EBADMSG},     {"a//b", -EBADMSG},
        {".", -EBADMSG},   {"..", -EBADMSG},   {"a/../b", -EBADMSG}, {"./a", -EBADMSG},
        {"a/.", -EBADMSG}, {"a/..", -EBADMSG}, {"../a", -EBADMSG},
    };

    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        cleanup_manifest struct manifest manifest = new_manifest(paths[i].path, 0);
        if (read_written(&manifest) != paths[i].expected)
            fail_msg("path %s", paths[i].path);
    }
}

static void test_ids_follow_from_path_and_name(void **state)
{
    cleanup_manifest struct manifest manifest = new_manifest("a", 2);
    struct manifest_attributes *first = new_entry(&manifest, "b", S_IFREG | 0644);
    struct manifest_attributes *second = new_entry(&manifest, "c", S_IFDIR);
    uint8_t id[PATH_ID_SIZE];

    assert_int_equal(read_written(&manifest), 0);
    memcpy(id, first->id, sizeof id);
    memcpy(first->id, second->id, sizeof id);
    assert_int_equal(read_written(&manifest), -EBADMSG);
    memcpy(second->id, id, sizeof id);
    assert_int_equal(read_written(&manifest), -EBADMSG);
    memcpy(second->id, first->id, sizeof id);
    memcpy(first->id, id, sizeof id);
    assert_int_equal(read_written(&manifest), 0);
    /* As those of the root, and with the keys of another set. */
    manifest.path[0] = '\0';
    assert_int_equal(read_written(&manifest), -EBADMSG);
    manifest.path[0] = 'a';
    static const uint8_t other[KEY_SIZE] = {1};
    struct seal_keys *kept = keys;
    assert_int_equal(seal_keys_new(other, &keys), 0);
    assert_int_equal(read_written(&manifest), -EBADMSG);
    seal_keys_free(keys);
    keys = kept;
}

static void test_modes_of_no_object(void **state)
{
    static const mode_t modes[] = {0, 0644, S_IFMT, 0030000 | 0644};

    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        cleanup_manifest struct manifest manifest = new_manifest("", 1);
        new_entry(&manifest, "a", modes[i]);
        assert_int_equal(read_written(&manifest), -EBADMSG);
    }
}

static void test_padding(void **state)
{
    uint8_t bytes[2 * UNIT + 1] = {0};

    memcpy(bytes, content, content_size);
    for (size_t size = 0; size <= sizeof bytes; size++)
        assert_int_equal(read_exact(bytes, size), size == UNIT ? 0 : -EBADMSG);
    for (size_t i = CONTENT_END; i < UNIT; i++) {
        bytes[i] = 1;
        assert_int_equal(read_exact(bytes, UNIT), -EBADMSG);
        bytes[i] = 0;
    }
}

/* Cut off inside, with the padding of a whole one. */
static void test_cut_contents(void **state)
{
    for (size_t end = 0; end < CONTENT_END; end++) {
        uint8_t bytes[UNIT] = {0};
        memcpy(bytes, content, end);
        assert_int_equal(read_exact(bytes, sizeof bytes), -EBADMSG);
    }
}

static void test_flipped_bits(void **state)
{
    unsigned accepted = 0;

    for (size_t bit = 0; bit < (size_t)8 * CONTENT_END; bit++) {
        cleanup_free uint8_t *bytes = exact_copy(content, content_size);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        accepted += read_exact(bytes, content_size) == 0;
    }
    for (unsigned round = 0; round < 20000; round++) {
        cleanup_free uint8_t *bytes = exact_copy(content, content_size);
        for (uint64_t left = random_between(1, 4); left > 0; left--)
            bytes[random_below(CONTENT_END)] ^= (uint8_t)random_between(1, 255);
        accepted += read_exact(bytes, content_size) == 0;
    }
    assert_true(accepted > 0); /* another uid, say */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes_are_refused),
        cmocka_unit_test(test_other_values_are_read),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_ids_follow_from_path_and_name),
        cmocka_unit_test(test_modes_of_no_object),
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_cut_contents),
        cmocka_unit_test(test_flipped_bits),
    };

    return cmocka_run_group_tests_name("manifest-refusals", tests, manifest_set_up,
                                       manifest_tear_down);
}
