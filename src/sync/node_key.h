/* SPDX-License-Identifier: MIT */
/* What a node of a sealed set has of a key, as it was fetched from its root. */
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

/* Returns true if the file `key` in THEIRS has a passphrase, and that in OURS none. */
bool node_key_would_open(const char *theirs, const char *ours);
