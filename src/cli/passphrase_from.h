/* SPDX-License-Identifier: MIT */
/* Reads passphrases, which never go into an argument, log or error. */
#pragma once

#include "seal/passphrase.h"

#include <stdbool.h>

/*
 * Asks for a passphrase on the terminal, without echo; TWICE for a new one. Returns 0, or a
 * negative errno that was logged: -ENOKEY, there is no terminal; -ECANCELED; -EINVAL.
 */
int passphrase_from_terminal(const char *prompt, bool twice, struct passphrase *ret);

/* Reads the passphrase from the file PATH, without a newline at its end. Returns as
 * passphrase_from_terminal. */
int passphrase_from_file(const char *path, struct passphrase *ret);
