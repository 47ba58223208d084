/* SPDX-License-Identifier: MIT */
/*
 * The file `key` of each share of the rebuilt view: from the files that k stores have follows that
 * of any share. No passphrase is needed for that. Any thread may ask.
 */
#pragma once

#include "share/format.h"
#include "store/stores.h"

struct rebuilt_key;

/* STORES stay the caller's. Returns 0 or -ENOMEM. */
int rebuilt_key_new(struct stores *stores, struct rebuilt_key **ret);
void rebuilt_key_free(struct rebuilt_key *key);

/*
 * Returns what writes the file of each share 0..254, by what the stores had within the last second:
 * it stays valid as long as KEY. NULL: there is no such file. Where stores have some of the key,
 * but too little, the log says so.
 */
const struct header_writer *rebuilt_key_find(struct rebuilt_key *key);
