/* SPDX-License-Identifier: MIT */
/*
 * The file of a master key, FILE in `zfec-fs key new FILE`: a text for its owner alone
 * (docs/format.md, "Keys").
 */
#pragma once

#include "seal/passphrase.h"

enum { KEY_TEXT_SIZE = 512 }; /* of a text, with its NUL: there is room to spare */

/* All that there is to know of a set's key; to be had from seal_alloc alone. */
struct master_key {
    uint8_t master[KEY_SIZE];
    bool has_passphrase;
    struct stretch stretch; /* zeros without a passphrase */
    uint8_t passphrase_key[KEY_SIZE];
};

/* A new key without a passphrase; free it with seal_free. */
int master_key_new(struct master_key **ret);

/* The id of its set. */
int master_key_id(const struct master_key *key, uint8_t ret[SET_ID_SIZE]);

/* The text of KEY, which is a secret, too: RET is of seal_alloc. Returns its length. */
size_t key_text_write(const struct master_key *key, char ret[KEY_TEXT_SIZE]);

/* Reads what key_text_write writes, a NUL behind it, and nothing else. Returns 0, or the number of
 * the line that is not as it is written. */
unsigned key_text_read(const char *text, size_t length, struct master_key *ret);

/*
 * Writes KEY to PATH, durably. With REPLACE, PATH is there and changes at once; without, it must
 * not be there. Returns 0, or a negative errno that was logged.
 */
int key_file_write(const char *path, const struct master_key *key, bool replace);

/* Reads the file at PATH; free the key with seal_free. Returns 0, or a negative errno after one
 * line in the log that says why it is refused: -EPERM, others can read it; -EBADMSG, it is not as
 * it is written. */
int key_file_read(const char *path, struct master_key **ret);
