/* SPDX-License-Identifier: MIT */
/*
 * tests/vectors/sealed.json, made by another implementation: keys, ids, and the files of keys. The
 * ciphers below it against the vectors of their own specifications, called as src/seal/ does.
 */
#include "support.h"

#include "base/cleanup.h"
#include "seal/key_share.h"

#include <gcrypt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static json_t *vectors;
static struct master_key *plain;

static int set_up(void **state)
{
    json_error_t error;

    vectors = json_load_file(SEALED_VECTORS, 0, &error);
    if (!vectors || seal_start() < 0)
        return -1;
    plain = seal_alloc(sizeof *plain);
    for (unsigned i = 0; plain && i < KEY_SIZE; i++)
        plain->master[i] = (uint8_t)i;
    return plain ? support_set_up(state) : -1;
}

static int tear_down(void **state)
{
    seal_free(plain);
    json_decref(vectors);
    return 0;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    assert_non_null(text);
    return text;
}

static uint32_t number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    assert_true(json_is_integer(value));
    return (uint32_t)json_integer_value(value);
}

static void from_hex(const char *hex, uint8_t *ret, size_t size)
{
    assert_int_equal(strlen(hex), 2 * size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &ret[i]), 1);
}

static void assert_hex(const uint8_t *bytes, size_t size, const char *hex)
{
    uint8_t expected[256];

    assert_true(size <= sizeof expected);
    from_hex(hex, expected, size);
    assert_memory_equal(bytes, expected, size);
}

static void test_derived_keys(void **state)
{
    const json_t *derived = json_object_get(vectors, "derived");
    const char *label;
    json_t *value;
    unsigned count = 0;

    assert_hex(plain->master, KEY_SIZE, text_of(vectors, "master"));
    json_object_foreach((json_t *)derived, label, value)
    {
        char info[64];
        uint8_t key[KEY_SIZE];
        int length = snprintf(info, sizeof info, "zfec-fs sealed 1 %s", label);
        assert_int_equal(seal_expand(plain->master, info, (size_t)length, key, KEY_SIZE), 0);
        assert_hex(key, KEY_SIZE, json_string_value(value));
        count++;
    }
    assert_int_equal(count, 5);
}

static void test_ids(void **state)
{
    const json_t *rows = json_object_get(vectors, "ids"), *link = json_object_get(vectors, "link");
    cleanup_seal_keys struct seal_keys *keys = NULL;
    uint8_t id[PATH_ID_SIZE], back[PATH_ID_SIZE], link_id[LINK_ID_SIZE];
    char name[PATH_ID_DIGITS + 1];

    assert_int_equal(seal_keys_new(plain->master, &keys), 0);
    assert_hex(seal_keys_set_id(keys), SET_ID_SIZE, text_of(vectors, "id"));
    assert_true(json_array_size(rows) > 3);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        assert_int_equal(seal_path_id(keys, text_of(row, "path"), id), 0);
        seal_id_name(id, name);
        assert_string_equal(name, text_of(row, "id"));
        assert_int_equal(seal_id_from_name(name, back), 0);
        assert_memory_equal(id, back, sizeof id);
    }
    const json_int_t mtime = json_integer_value(json_object_get(link, "mtime_ns"));
    assert_int_equal(seal_link_id(keys, number_of(link, "inode"), number_of(link, "size"), mtime,
                                  text_of(link, "root"), link_id),
                     0);
    assert_hex(link_id, LINK_ID_SIZE, text_of(link, "hex"));
}

static void test_key_text(void **state)
{
    const char *expected = text_of(vectors, "key_file");
    cleanup_secret struct master_key *read = seal_alloc(sizeof *read);
    char text[KEY_TEXT_SIZE] = {0};

    assert_int_equal(key_text_write(plain, text), strlen(expected));
    assert_string_equal(text, expected);
    assert_int_equal(key_text_read(expected, strlen(expected), read), 0);
    assert_memory_equal(read, plain, sizeof *read);
}

/* The key that a row of "keys" is made of. */
static struct master_key *key_of(const json_t *row)
{
    struct master_key *key = seal_alloc(sizeof *key);

    memcpy(key->master, plain->master, KEY_SIZE);
    key->has_passphrase = json_object_get(row, "P") != NULL;
    if (key->has_passphrase) {
        from_hex(text_of(row, "P"), key->passphrase_key, KEY_SIZE);
        from_hex(text_of(row, "salt"), key->stretch.salt, SALT_SIZE);
        key->stretch.memory_kib = number_of(row, "memory_kib");
        key->stretch.passes = number_of(row, "passes");
        key->stretch.lanes = number_of(row, "lanes");
    }
    return key;
}

static void test_key_shares(void **state)
{
    const json_t *rows = json_object_get(vectors, "keys");
    unsigned made = 0, refused = 0;

    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const unsigned k = number_of(row, "k"), index = number_of(row, "index");
        cleanup_secret struct master_key *key = key_of(row);
        uint8_t bytes[KEY_SHARE_SIZE], expected[KEY_SHARE_SIZE];
        struct key_share share;
        from_hex(text_of(row, "hex"), expected, sizeof expected);
        assert_int_equal(key_share_read(expected, sizeof expected, &share), 0);
        assert_int_equal(share.required, k);
        assert_int_equal(share.index, index);
        assert_int_equal(share.has_passphrase, key->has_passphrase);
        assert_memory_equal(&share.stretch, &key->stretch, sizeof share.stretch);
        assert_hex(share.set_id, SET_ID_SIZE, text_of(vectors, "id"));
        /* Also that which is never written: without a passphrase, with k = 1. */
        assert_true(key_share_is_of(&share, key));
        const int r = key_share_make(key, k, index, bytes);
        if (k == 1 && !key->has_passphrase) {
            assert_int_equal(r, -EPERM);
            refused++;
            continue;
        }
        assert_int_equal(r, 0);
        assert_memory_equal(bytes, expected, sizeof bytes);
        made++;
    }
    assert_int_equal(made + refused, 10);
    assert_int_equal(refused, 1);
}

/* RFC 8452, C.2: all with one key and nonce, which is that of stripe 3. */
static const struct siv {
    const char *data, *bound, *sealed;
} sivs[] = {
    {"", "", "07f5f4169bbf55a8400cd47ea6fd400f"},
    {"0100000000000000", "", "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28"},
    {"010000000000000000000000", "", "9aab2aeb3faa0a34aea8e2b18ca50da9ae6559e48fd10f6e5c9ca17e"},
    {"01000000000000000000000000000000", "",
     "85a01b63025ba19b7fd3ddfc033b3e76c9eac6fa700942702e90862383c6c366"},
    {"0100000000000000000000000000000002000000000000000000000000000000", "",
     "4a6a9db4c8c6549201b9edb53006cba821ec9cf850948a7c86c68ac7539d027fe819e63abcd020b006a9763976"
     "32eb5d"},
    {"0200000000000000", "01", "1de22967237a813291213f267e3b452f02d01ae33e4ec854"},
};

static gcry_cipher_hd_t open_siv(const uint8_t key[KEY_SIZE], uint64_t stripe, const void *bound,
                                 size_t size)
{
    uint8_t nonce[12] = {(uint8_t)stripe};
    gcry_cipher_hd_t cipher;

    assert_false(gcry_cipher_open(&cipher, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_GCM_SIV,
                                  GCRY_CIPHER_SECURE));
    assert_false(gcry_cipher_setkey(cipher, key, KEY_SIZE));
    assert_false(gcry_cipher_setiv(cipher, nonce, sizeof nonce));
    assert_false(gcry_cipher_authenticate(cipher, bound, size));
    return cipher;
}

static void test_siv(void **state)
{
    const uint8_t key[KEY_SIZE] = {1};

    for (size_t i = 0; i < COUNT_OF(sivs); i++) {
        const size_t size = strlen(sivs[i].data) / 2, bound_size = strlen(sivs[i].bound) / 2;
        uint8_t data[64], bound[16];
        from_hex(sivs[i].data, data, size);
        from_hex(sivs[i].bound, bound, bound_size);
        gcry_cipher_hd_t cipher = open_siv(key, 3, bound, bound_size);
        assert_false(gcry_cipher_encrypt(cipher, data, size, NULL, 0));
        assert_false(gcry_cipher_gettag(cipher, data + size, TAG_SIZE));
        gcry_cipher_close(cipher);
        assert_hex(data, size + TAG_SIZE, sivs[i].sealed);
    }
}

/* What seal_stripe does is that, with the keys of the vectors. */
static void test_siv_of_stripes(void **state)
{
    static const char *const labels[] = {"content", "manifest"};
    cleanup_seal_keys struct seal_keys *keys = NULL;
    uint8_t id[PATH_ID_SIZE], header[32], key[KEY_SIZE];

    random_fill(id, sizeof id);
    random_fill(header, sizeof header);
    assert_int_equal(seal_keys_new(plain->master, &keys), 0);
    const struct seal_place places[] = {seal_place_of_file(keys, id),
                                        seal_place_of_manifest(keys, header)};
    for (unsigned i = 0; i < 8; i++) {
        const bool manifest = i & 1, last = i & 2;
        const size_t size = i & 4 ? 1000 : 1;
        uint8_t data[1000], expected[1000], before[1000], tag[TAG_SIZE], right[TAG_SIZE];
        uint8_t bound[TAG_SIZE];
        random_fill(data, size);
        memcpy(expected, data, size);
        memcpy(before, data, size);
        memcpy(bound, manifest ? header + 16 : id, manifest ? 16 : sizeof id);
        bound[sizeof id] = manifest ? header[16 + sizeof id] : last;
        from_hex(text_of(json_object_get(vectors, "derived"), labels[manifest]), key, KEY_SIZE);
        gcry_cipher_hd_t cipher = open_siv(key, i, bound, manifest ? 16 : sizeof id + 1);
        assert_false(gcry_cipher_encrypt(cipher, expected, size, NULL, 0));
        assert_false(gcry_cipher_gettag(cipher, right, TAG_SIZE));
        gcry_cipher_close(cipher);
        assert_int_equal(seal_stripe(&places[manifest], i, last, data, size, tag), 0);
        assert_memory_equal(data, expected, size);
        assert_memory_equal(tag, right, TAG_SIZE);
        assert_int_equal(seal_open_stripe(&places[manifest], i, last, data, size, tag), 0);
        assert_memory_equal(data, before, size);
        tag[random_below(TAG_SIZE)] ^= 1;
        memcpy(data, expected, size);
        assert_int_equal(seal_open_stripe(&places[manifest], i, last, data, size, tag), -EBADMSG);
    }
}

/* By argon2(1), of the reference implementation. */
static void test_argon2id(void **state)
{
    static const struct {
        char passphrase[32];
        struct stretch stretch;
        const char *key;
    } rows[] = {
        {"correct horse battery staple",
         {"abcdefghijklmnop", 64, 3, 4},
         "3766840b8735c3a7e47512efc04657b5bad0d8510bb05b5ac2c3bb3adf295fb2"},
        {"x",
         {"ssssssssssssssss", 8, 1, 1},
         "dd6886e62d99ccc714d29d5c414a963be72e45ad130e4e91def770280af68973"},
        {"secret",
         {"abcdefghijklmnop", 64 << 10, 3, 4},
         "ffe513f4eaca0e323fce7e5970a35532ba6084f8f4a3d1a587e9def24adbcb46"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct passphrase passphrase = {(char *)rows[i].passphrase,
                                              strlen(rows[i].passphrase)};
        uint8_t key[KEY_SIZE];
        assert_int_equal(stretch_passphrase(&rows[i].stretch, &passphrase, key), 0);
        assert_hex(key, KEY_SIZE, rows[i].key);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_derived_keys), cmocka_unit_test(test_ids),
        cmocka_unit_test(test_key_text),     cmocka_unit_test(test_key_shares),
        cmocka_unit_test(test_siv),          cmocka_unit_test(test_siv_of_stripes),
        cmocka_unit_test(test_argon2id),
    };

    return cmocka_run_group_tests_name("seal-vectors", tests, set_up, tear_down);
}
