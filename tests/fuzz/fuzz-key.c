/* SPDX-License-Identifier: MIT */
/*
 * Files of keys: what key_share_read and key_text_read accept is within limits, and is what is
 * written of it; key_paper_read takes any text.
 *
 *     what 1 (mod 3; above 127: hash or check are made right) | the file
 */
#include "fuzz.h"

#include "seal/key_paper.h"
#include "seal/key_share.h"
#include "share/block.h"

#include <stdbool.h>
#include <string.h>

enum { HASHED_SIZE = 112, TEXT_SIZE = 4096 };

static void check_stretch(const struct stretch *stretch)
{
    CHECK(stretch->passes >= 1 && stretch->passes <= 64);
    CHECK(stretch->lanes >= 1 && stretch->lanes <= 64);
    CHECK(stretch->memory_kib >= 8 * stretch->lanes && stretch->memory_kib < 4 << 20);
}

static void try_share(uint8_t *bytes, size_t size, bool right)
{
    struct key_share share;

    if (right && size == KEY_SHARE_SIZE)
        hash(bytes, HASHED_SIZE, 0, bytes + HASHED_SIZE);
    if (key_share_read(bytes, size, &share) < 0)
        return;
    CHECK(size == KEY_SHARE_SIZE && share.required >= 1 && share.index < KEY_SHARES_MAX);
    CHECK(memcmp(share.bytes, bytes, size) == 0);
    if (share.has_passphrase)
        check_stretch(&share.stretch);
    const time_t time = key_share_time(bytes).tv_sec;
    CHECK(time >= 1000000000 && time < 1500000000);
}

static void check_key(const struct master_key *key)
{
    if (key->has_passphrase)
        check_stretch(&key->stretch);
}

static void try_text(char *text, size_t size, bool right)
{
    struct master_key *key = seal_alloc(sizeof *key);
    char written[KEY_TEXT_SIZE];
    uint8_t check[HASH_SIZE];

    CHECK(key);
    if (right && size > 15) {
        char digits[9];
        hash(text, size - 15, 0, check);
        snprintf(digits, sizeof digits, "%02x%02x%02x%02x", check[0], check[1], check[2], check[3]);
        memcpy(text + size - 9, digits, 8);
    }
    if (key_text_read(text, size, key) == 0) {
        CHECK(key_text_write(key, written) == size && memcmp(written, text, size) == 0);
        check_key(key);
    }
    seal_free(key);
}

/* What is read of paper is read again of what is printed of it. */
static void try_paper(char *text)
{
    struct master_key *key = seal_alloc(sizeof *key), *again = seal_alloc(sizeof *again);
    char paper[KEY_PAPER_SIZE] = {0};

    CHECK(key && again);
    if (key_paper_read(text, key) == 0) {
        check_key(key);
        key_paper_write(key, paper);
        CHECK(key_paper_read(paper, again) == 0 && memcmp(key, again, sizeof *key) == 0);
    }
    seal_free(key);
    seal_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    const uint8_t what = take_byte(&input);
    const size_t length = input.left < TEXT_SIZE ? input.left : TEXT_SIZE;
    char *text = malloc(length + 1);

    CHECK(text && seal_start() == 0);
    memcpy(text, input.data, length);
    text[length] = '\0';
    if (what % 3 == 0)
        try_share((uint8_t *)text, length, what > 127);
    else if (what % 3 == 1)
        try_text(text, length, what > 127);
    else
        try_paper(text);
    free(text);
    return 0;
}
