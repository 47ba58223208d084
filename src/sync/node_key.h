/* SPDX-License-Identifier: MIT */
/* Judges the file `key` of a node of a sealed set, as it was fetched from its root. */
#pragma once

#include "seal/keys.h"

enum node_key {
    NODE_KEY_NONE,
    NODE_KEY_OURS,   /* by its own word */
    NODE_KEY_OTHERS, /* of the key of another set */
    NODE_KEY_BROKEN, /* a file of that name that is none */
};

/* Judges the file `key` in FOLDER by SET_ID; where that is NULL, no intact one is ours. */
enum node_key node_key_in(const char *folder, const uint8_t set_id[SET_ID_SIZE]);

enum node_key_passphrase {
    NODE_KEY_SAME_PASSPHRASE,  /* or theirs has none, or is no key */
    NODE_KEY_OTHER_PASSPHRASE, /* or the same one, with another salt */
    NODE_KEY_WOULD_OPEN,       /* theirs has one, and ours none */
};

/* Compares the passphrases of the files `key` in the folders THEIRS and OURS. */
enum node_key_passphrase node_key_passphrase(const char *theirs, const char *ours);
