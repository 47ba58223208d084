/* SPDX-License-Identifier: MIT */
/* The names in a directory, of all stores. */
#pragma once

#include "view/inquiry.h"

/*
 * Adds the names that stores have in PATH to NAMES, each once, in order, with what they agree on
 * as to the kind of an object. ENOUGH as for
 * inquiry_make. Returns 0 where a store has PATH; -ENOENT where none has, or, where a store could
 * not say, its error; -ENOMEM.
 */
int store_names(struct stores *stores, const char *path, const struct inquiry_enough *enough,
                struct names *names);
