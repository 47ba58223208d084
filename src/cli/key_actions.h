/* SPDX-License-Identifier: MIT */
/* Shared by the actions of zfec-fs key; and those that have their own files. */
#pragma once

#include "cli/options.h"
#include "seal/key_file.h"

/* Returns the exit status for a negative errno that was logged. */
enum exit_status key_status(int error);

/* Reports WHAT happened to FILE. Returns 0 or a negative errno, logged. */
int key_tell(const char *path, const struct master_key *key, const char *what);

/* Reports WHAT the file `key` of the store at PATH is, or has become. */
void key_tell_store(const char *path, const char *what, bool right);

/* Logs why it cannot be WHAT, read or written. */
void key_tell_failure(const char *path, const char *what, int error);

/* Takes the words after the first: FILE, and STORES before or after it. Returns 0 or a negative
 * errno, logged. */
int key_take_words(struct options *options, bool stores_first, char **ret_file);

/* Changes or removes the passphrase of FILE and of the stores' keys. */
enum exit_status key_passphrase(struct options *options);
