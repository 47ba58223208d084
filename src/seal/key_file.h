/* SPDX-License-Identifier: MIT */
/*
 * The file of a master key, FILE in `zfec-fs key new FILE`: text that only its owner may read
 * (docs/format.md, "Keys").
 */
#pragma once

#include "seal/passphrase.h"

enum { KEY_TEXT_SIZE = 512 }; /* of the text with its NUL; generous */

/* All that is known of a set's key. Allocate it with seal_alloc only. */
struct master_key {
    uint8_t master[KEY_SIZE];
    bool has_passphrase;
    struct stretch stretch; /* zeros without a passphrase */
    uint8_t passphrase_key[KEY_SIZE];
};

/* Makes a new key without a passphrase; free it with seal_free. */
int master_key_new(struct master_key **ret);

/* Computes the id of the key's set. */
int master_key_id(const struct master_key *key, uint8_t ret[SET_ID_SIZE]);

/* Writes the text of KEY to RET. The text is as secret as the key, so allocate RET with seal_alloc.
 * Returns its length. */
size_t key_text_write(const struct master_key *key, char ret[KEY_TEXT_SIZE]);

/* Reads exactly what key_text_write writes, followed by a NUL. Returns 0, or the number of the
 * first line that differs from that. */
unsigned key_text_read(const char *text, size_t length, struct master_key *ret);

/*
 * Writes KEY to PATH, durably. With REPLACE, PATH must exist and is replaced atomically; without,
 * it must not exist. Returns 0, or a negative errno that was logged.
 */
int key_file_write(const char *path, const struct master_key *key, bool replace);

/*
 * Reads the file at PATH; free the key with seal_free. Returns 0, or a negative errno after one
 * line in the log that says why it is refused: -EPERM, others can read it; -EBADMSG, it is
 * malformed.
 */
int key_file_read(const char *path, struct master_key **ret);
