/* SPDX-License-Identifier: MIT */
/* What the actions of zfec-fs key have in common, and those that have a file of their own. */
#pragma once

#include "cli/options.h"
#include "seal/key_file.h"

/* The exit status of a negative errno that was logged. */
enum exit_status key_status(int error);

/* Says what became of FILE. Returns 0 or a negative errno, logged. */
int key_tell(const char *path, const struct master_key *key, const char *what);

/* Says what the file `key` of the store at PATH is, or became. */
void key_tell_store(const char *path, const char *what, bool right);

/* Says why it cannot be WHAT, read or written. */
void key_tell_failure(const char *path, const char *what, int error);

/* Takes the words behind the first: FILE, and STORES before or behind it. Returns 0 or a negative
 * errno, logged. */
int key_take_words(struct options *options, bool stores_first, char **ret_file);

/* Gives FILE and the stores' keys another passphrase, or none. */
enum exit_status key_passphrase(struct options *options);
