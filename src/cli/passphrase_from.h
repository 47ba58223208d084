/* SPDX-License-Identifier: MIT */
/* Where passphrases come from. They go into no argument, log or error. */
#pragma once

#include "seal/passphrase.h"

#include <stdbool.h>

/*
 * Asks for it on the terminal, which shows nothing of it; TWICE for a new one. Returns 0, or a
 * negative errno that was logged: -ENOKEY, there is no terminal; -ECANCELED; -EINVAL.
 */
int passphrase_from_terminal(const char *prompt, bool twice, struct passphrase *ret);

/* The contents of the file PATH, without a newline at their end. The same. */
int passphrase_from_file(const char *path, struct passphrase *ret);
