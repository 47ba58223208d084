/* SPDX-License-Identifier: MIT */
/*
 * The file `key` of each share of the rebuilt view, computed from the files of k stores. That needs
 * no passphrase. Any thread may ask.
 */
#pragma once

#include "share/format.h"
#include "store/stores.h"

struct rebuilt_key;

/* STORES stay the caller's. Returns 0 or -ENOMEM. */
int rebuilt_key_new(struct stores *stores, struct rebuilt_key **ret);
void rebuilt_key_free(struct rebuilt_key *key);

/*
 * Returns what writes the file of each share 0..254, from what the stores had within the last
 * second; valid as long as KEY. NULL: there is no such file; the log says so if stores have too few
 * parts of the key.
 */
const struct header_writer *rebuilt_key_find(struct rebuilt_key *key);
