/* SPDX-License-Identifier: MIT */
/* The files of keys: from any k of them the key, from fewer nothing, and what is refused. */
#include "support.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "seal/key_paper.h"
#include "seal/key_search.h"
#include "share/block.h"
#include "share/secret.h"

#include <string.h>

enum { FILES = 8 };

static unsigned asked;
static const char *answer = "secret";

static int set_up(void **state)
{
    return seal_start() < 0 ? -1 : support_set_up(state);
}

static struct master_key *new_key(const char *passphrase)
{
    struct master_key *key = NULL;

    assert_int_equal(master_key_new(&key), 0);
    if (passphrase) {
        const struct passphrase given = {(char *)passphrase, strlen(passphrase)};
        key->has_passphrase = true;
        assert_int_equal(stretch_new(&key->stretch), 0);
        assert_true(stretch_is_strong(&key->stretch));
        assert_int_equal(stretch_passphrase(&key->stretch, &given, key->passphrase_key), 0);
    }
    return key;
}

/* COUNT files of KEY from share FIRST on, at FILES. */
static void fill(struct found_key *files, const struct master_key *key, unsigned required,
                 unsigned first, size_t count)
{
    uint8_t bytes[KEY_SHARE_SIZE];

    for (size_t i = 0; i < count; i++) {
        assert_int_equal(key_share_make(key, required, first + (unsigned)i, bytes), 0);
        assert_int_equal(key_share_read(bytes, sizeof bytes, &files[i].share), 0);
        files[i].read = true;
        files[i].verdict = KEY_UNKNOWN;
    }
}

/* A file with another y, and a hash that fits. */
static void forge(struct found_key *file)
{
    uint8_t bytes[KEY_SHARE_SIZE];

    memcpy(bytes, file->share.bytes, sizeof bytes);
    bytes[64 + random_below(KEY_SIZE)] ^= (uint8_t)random_between(1, 255);
    hash(bytes, 112, 0, bytes + 112);
    assert_int_equal(key_share_read(bytes, sizeof bytes, &file->share), 0);
}

static int ask(void *context, struct passphrase *ret)
{
    asked++;
    *ret = (struct passphrase){seal_alloc(64), strlen(answer)};
    strcpy(ret->bytes, answer);
    return 0;
}

static int search(struct found_key *files, size_t count, struct key_search terms,
                  struct master_key **ret)
{
    asked = 0;
    terms.ask = ask;
    *ret = NULL;
    return key_search(&terms, files, count, ret);
}

#define NO_TERMS ((struct key_search){.required = 0})

static void assert_found(struct found_key *files, size_t count, const struct master_key *key)
{
    cleanup_secret struct master_key *found = NULL;

    assert_int_equal(search(files, count, NO_TERMS, &found), 0);
    assert_memory_equal(found, key, sizeof *key);
}

static void assert_error(struct found_key *files, size_t count, int error)
{
    cleanup_secret struct master_key *found = NULL;

    assert_int_equal(search(files, count, NO_TERMS, &found), error);
    assert_null(found);
    assert_non_null(key_search_error(error));
}

static void test_any_k_are_enough(void **state)
{
    cleanup_secret struct master_key *key = new_key(NULL);
    struct found_key all[FILES], some[FILES];

    for (unsigned k = 2; k <= 5; k++) {
        uint8_t subset[FILES];
        fill(all, key, k, k == 5 ? KEY_SHARES_MAX - FILES : 0, FILES);
        first_subset(k, subset);
        do {
            for (unsigned i = 0; i < k; i++)
                some[i] = all[subset[i]];
            assert_found(some, k, key);
            assert_error(some, k - 1, -ENODATA);
        } while (next_subset(k, FILES, subset));
    }
}

static void test_all_shares_with_every_k(void **state)
{
    cleanup_secret struct master_key *key = new_key(NULL);
    struct found_key files[KEY_SHARES_MAX];
    const unsigned required[] = {2, 100, 254, 255};

    for (size_t i = 0; i < COUNT_OF(required); i++) {
        fill(files, key, required[i], 0, KEY_SHARES_MAX);
        assert_found(files + KEY_SHARES_MAX - required[i], required[i], key);
        assert_error(files, required[i] - 1, -ENODATA);
    }
}

static void test_one_is_enough_with_a_passphrase_alone(void **state)
{
    cleanup_secret struct master_key *key = new_key("secret"), *open = new_key(NULL);
    uint8_t bytes[KEY_SHARE_SIZE];
    struct found_key file;

    fill(&file, key, 1, 7, 1);
    assert_found(&file, 1, key);
    assert_int_equal(asked, 1);
    assert_int_equal(key_share_make(open, 1, 0, bytes), -EPERM);
    assert_int_equal(key_share_make(open, 0, 0, bytes), -EINVAL);
    assert_int_equal(key_share_make(open, 256, 0, bytes), -EINVAL);
    assert_int_equal(key_share_make(open, 3, 255, bytes), -EINVAL);
}

/* One node writes this without having anything. */
static void test_an_open_key_of_one_share_is_refused(void **state)
{
    cleanup_secret struct master_key *key = new_key(NULL);
    uint8_t bytes[KEY_SHARE_SIZE];
    struct found_key file;

    fill(&file, key, 2, 0, 1);
    memcpy(bytes, file.share.bytes, sizeof bytes);
    bytes[9] = 1;
    memcpy(bytes + 64, key->master, KEY_SIZE);
    hash(bytes, 112, 0, bytes + 112);
    assert_int_equal(key_share_read(bytes, sizeof bytes, &file.share), 0);
    assert_error(&file, 1, -EPERM);
}

static void test_wrong_files_beside(void **state)
{
    cleanup_secret struct master_key *key = new_key(NULL);
    struct found_key files[FILES];

    for (unsigned k = 2; k <= 6; k++) {
        for (unsigned wrong = 1; wrong <= FILES - k; wrong++) {
            uint8_t which[FILES];
            random_indices(wrong, FILES, which);
            fill(files, key, k, 0, FILES);
            for (unsigned i = 0; i < wrong; i++)
                forge(&files[which[i]]);
            assert_found(files, FILES, key);
            for (unsigned i = 0; i < wrong; i++)
                assert_int_equal(files[which[i]].verdict, KEY_WRONG);
            unsigned right = 0;
            for (unsigned i = 0; i < FILES; i++)
                right += files[i].verdict == KEY_RIGHT;
            assert_int_equal(right, FILES - wrong);
        }
        for (unsigned i = 0; i < FILES - k + 1; i++)
            forge(&files[i]);
        fill(files + FILES - k + 1, key, k, FILES - k + 1, k - 1);
        assert_error(files, FILES, -EBADMSG);
    }
}

/* More choices than are tried one after the other; and no luck ends in time. */
static void test_many_wrong_files(void **state)
{
    enum { MANY = 40 };
    cleanup_secret struct master_key *key = new_key(NULL);
    struct found_key files[MANY];

    fill(files, key, 10, 0, MANY);
    for (unsigned i = 0; i < 10; i++)
        forge(&files[i]);
    assert_found(files, MANY, key);
    for (unsigned i = 0; i < MANY - 9; i++)
        forge(&files[i]);
    assert_error(files, MANY, -EBADMSG);
}

static void test_two_of_one_share(void **state)
{
    cleanup_secret struct master_key *key = new_key(NULL);
    struct found_key files[4];

    fill(files, key, 3, 0, 3);
    files[3] = files[2] = files[1];
    assert_error(files, 4, -ENODATA);
    fill(files, key, 3, 0, 3);
    files[3] = files[0];
    forge(&files[0]);
    assert_found(files, 4, key);
    assert_int_equal(files[0].verdict, KEY_WRONG);
    assert_int_equal(files[3].verdict, KEY_RIGHT);
}

static void test_two_sets(void **state)
{
    cleanup_secret struct master_key *key = new_key(NULL), *other = new_key(NULL), *found = NULL;
    uint8_t id[SET_ID_SIZE];
    struct found_key files[6];

    fill(files, key, 3, 0, 3);
    fill(files + 3, other, 3, 0, 2);
    assert_found(files, 5, key);
    assert_int_equal(files[4].verdict, KEY_OTHER_SET);
    fill(files + 3, other, 3, 0, 3);
    assert_error(files, 6, -ENOTUNIQ);
    assert_int_equal(master_key_id(other, id), 0);
    assert_int_equal(search(files, 6, (struct key_search){.set_id = id}, &found), 0);
    assert_memory_equal(found, other, sizeof *other);
    assert_int_equal(files[0].verdict, KEY_OTHER_SET);
    assert_int_equal(files[5].verdict, KEY_RIGHT);
}

/* K is what most say, or the user; where as many say another, it is not clear. */
static void test_k(void **state)
{
    cleanup_secret struct master_key *key = new_key(NULL), *other = new_key(NULL), *found = NULL;
    struct found_key files[6];

    fill(files, key, 3, 0, 4);
    fill(files + 4, other, 2, 0, 2);
    assert_found(files, 6, key);
    fill(files, key, 3, 0, 3);
    fill(files + 3, other, 2, 0, 3);
    assert_error(files, 6, -EDOM);
    assert_int_equal(search(files, 6, (struct key_search){.required = 3}, &found), 0);
    assert_memory_equal(found, key, sizeof *key);
}

static void test_passphrases(void **state)
{
    cleanup_secret struct master_key *key = new_key("secret"), *found = NULL;
    cleanup_secret struct master_key *open = seal_alloc(sizeof *open);
    struct found_key files[6];

    fill(files, key, 3, 0, 3);
    assert_found(files, 3, key);
    assert_int_equal(asked, 1);
    answer = "Secret";
    assert_error(files, 3, -EKEYREJECTED);
    answer = "secret";
    assert_error(files, 2, -ENODATA);
    assert_int_equal(asked, 0);

    /* Files that need none, though one was given; the same key, to some nodes not yet told. */
    memcpy(open->master, key->master, KEY_SIZE);
    fill(files + 3, open, 3, 3, 3);
    const struct key_search given = {.passphrase_given = true};
    assert_int_equal(search(files + 3, 3, given, &found), -EPERM);
    assert_int_equal(search(files, 6, given, &found), 0);
    assert_memory_equal(found, key, sizeof *key);
    assert_int_equal(files[4].verdict, KEY_OTHER_TERMS);
}

static void set_stretch(uint8_t *bytes, uint32_t memory_kib, uint32_t passes, uint32_t lanes)
{
    store_le32(bytes + 48, memory_kib);
    store_le32(bytes + 52, passes);
    store_le32(bytes + 56, lanes);
    hash(bytes, 112, 0, bytes + 112);
}

static void test_what_a_passphrase_may_cost(void **state)
{
    static const struct stretch out[] = {
        {"", UINT32_MAX, 3, 4}, {"", 4 << 20, 3, 4},
        {"", 0, 3, 4},          {"", 31, 3, 4},
        {"", 1 << 16, 0, 4},    {"", 1 << 16, 65, 4},
        {"", 1 << 16, 3, 0},    {"", 1 << 16, 3, 65},
        {"", 7, 1, 1},          {"", UINT32_MAX, UINT32_MAX, UINT32_MAX},
    };
    static const struct stretch in[] = {
        {"", 8, 1, 1}, {"", 512, 64, 64}, {"", (4 << 20) - 1, 1, 1}};
    cleanup_secret struct master_key *key = new_key("secret");
    const struct passphrase passphrase = {(char *)"secret", 6};
    uint8_t bytes[KEY_SHARE_SIZE], p[KEY_SIZE];
    struct key_share share;

    assert_int_equal(key_share_make(key, 3, 0, bytes), 0);
    for (size_t i = 0; i < COUNT_OF(out); i++) {
        set_stretch(bytes, out[i].memory_kib, out[i].passes, out[i].lanes);
        assert_int_equal(key_share_read(bytes, sizeof bytes, &share), -EBADMSG);
        assert_int_equal(stretch_passphrase(&out[i], &passphrase, p), -ERANGE);
    }
    for (size_t i = 0; i < COUNT_OF(in); i++) {
        set_stretch(bytes, in[i].memory_kib, in[i].passes, in[i].lanes);
        assert_int_equal(key_share_read(bytes, sizeof bytes, &share), 0);
    }
    key->stretch.passes = 2;
    assert_int_equal(key_share_make(key, 3, 0, bytes), -ERANGE);
    key->stretch.passes = 3;
    key->stretch.memory_kib--;
    assert_int_equal(key_share_make(key, 3, 0, bytes), -ERANGE);
}

/* Of every byte: no bit may be another one, with a hash that does not fit or with one that does. */
static void test_damaged_files(void **state)
{
    cleanup_secret struct master_key *key = new_key(NULL);
    uint8_t bytes[KEY_SHARE_SIZE];
    struct found_key file;

    fill(&file, key, 3, 0, 1);
    for (size_t at = 0; at < KEY_SHARE_SIZE; at++) {
        memcpy(bytes, file.share.bytes, sizeof bytes);
        bytes[at] ^= (uint8_t)(1u << random_below(8));
        struct key_share share;
        assert_int_equal(key_share_read(bytes, sizeof bytes, &share), -EBADMSG);
        hash(bytes, 112, 0, bytes + 112);
        if (key_share_read(bytes, sizeof bytes, &share) == 0)
            assert_int_equal(key_share_is_of(&share, key), at >= 112);
        else
            assert_true(at < 9 || (at >= 11 && at < 16) || (at >= 32 && at < 64));
    }
    assert_int_equal(key_share_read(file.share.bytes, KEY_SHARE_SIZE - 1, &file.share), -EBADMSG);
    assert_int_equal(key_share_read(file.share.bytes, 0, &file.share), -EBADMSG);
}

static void test_text(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        cleanup_secret struct master_key *key = new_key(i ? "secret" : NULL);
        cleanup_secret struct master_key *read = seal_alloc(sizeof *read);
        char text[KEY_TEXT_SIZE] = {0}, wrong[KEY_TEXT_SIZE + 1];
        const size_t length = key_text_write(key, text);
        assert_int_equal(key_text_read(text, length, read), 0);
        assert_memory_equal(read, key, sizeof *key);
        for (size_t at = 0; at < length; at++) {
            memcpy(wrong, text, sizeof text);
            wrong[at] = wrong[at] == '0' ? '1' : '0';
            assert_true(key_text_read(wrong, length, read) > 0);
            memcpy(wrong, text, sizeof text);
            wrong[at] = '\0';
            assert_true(key_text_read(wrong, at, read) > 0); /* cut */
            assert_true(key_text_read(wrong, length, read) > 0);
            memcpy(wrong + at + 1, text + at, length - at + 1);
            wrong[at] = ' ';
            assert_true(key_text_read(wrong, length + 1, read) > 0);
        }
        memcpy(wrong, text, sizeof text);
        strcpy(wrong + length, "\n");
        assert_int_equal(key_text_read(wrong, length + 1, read), i ? 7 : 4);
    }
}

static void test_paper(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        cleanup_secret struct master_key *key = new_key(i ? "secret" : NULL);
        cleanup_secret struct master_key *read = seal_alloc(sizeof *read);
        char paper[KEY_PAPER_SIZE] = {0}, typed[KEY_PAPER_SIZE];
        const size_t length = key_paper_write(key, paper);
        memcpy(typed, paper, sizeof paper);
        assert_int_equal(key_paper_read(typed, read), 0);
        assert_memory_equal(read, key, sizeof *key);
        unsigned line = 1;
        for (size_t at = 0; at < length; at++) {
            line += at > 0 && paper[at - 1] == '\n';
            memcpy(typed, paper, sizeof paper);
            if (strchr(" \n", typed[at]))
                continue;
            typed[at] = typed[at] == '7' ? '2' : '7';
            const unsigned wrong = key_paper_read(typed, read);
            assert_int_equal(wrong, line > 1 ? line : 1);
            memcpy(typed, paper, sizeof paper);
            typed[at] = '\0';
            assert_true(key_paper_read(typed, read) > 0);
        }
    }
}

static void test_time(void **state)
{
    uint8_t bytes[KEY_SHARE_SIZE] = {0};

    assert_int_equal(key_share_time(bytes).tv_sec, 1000000000);
    memset(bytes + 124, 0xff, 4);
    assert_int_equal(key_share_time(bytes).tv_sec, 1000000000 + UINT32_MAX % 500000000);
    bytes[124] = 0;
    assert_int_equal(key_share_time(bytes).tv_sec, 1000000000 + 0xffffff);
    assert_int_equal(key_share_time(bytes).tv_nsec, 0);
}

static void test_places_of_a_polynomial(void **state)
{
    const uint8_t one[] = {1, 2, 3}, *values[] = {one, one};
    uint8_t ret[3];

    assert_int_equal(secret_combine(2, (const uint8_t[]){5, 5}, values, 3, ret), -EINVAL);
    assert_int_equal(secret_combine(2, (const uint8_t[]){5, 0}, values, 3, ret), -EINVAL);
    assert_int_equal(secret_combine(1, (const uint8_t[]){0}, values, 3, ret), -EINVAL);
    assert_int_equal(secret_combine(0, NULL, values, 3, ret), -EINVAL);
    assert_int_equal(secret_combine(1, (const uint8_t[]){9}, values, 3, ret), 0);
    assert_memory_equal(ret, one, 3);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_k_are_enough),
        cmocka_unit_test(test_all_shares_with_every_k),
        cmocka_unit_test(test_one_is_enough_with_a_passphrase_alone),
        cmocka_unit_test(test_an_open_key_of_one_share_is_refused),
        cmocka_unit_test(test_wrong_files_beside),
        cmocka_unit_test(test_many_wrong_files),
        cmocka_unit_test(test_two_of_one_share),
        cmocka_unit_test(test_two_sets),
        cmocka_unit_test(test_k),
        cmocka_unit_test(test_passphrases),
        cmocka_unit_test(test_what_a_passphrase_may_cost),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_paper),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_places_of_a_polynomial),
    };

    return cmocka_run_group_tests_name("key-share", tests, set_up, NULL);
}
