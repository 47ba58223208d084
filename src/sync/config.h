/* SPDX-License-Identifier: MIT */
/* Reads the file of sets; zfec-fs-sets(5) says what may stand in it. */
#pragma once

#include "sync/sets.h"

/*
 * Returns 0 where all of it makes sense; otherwise a negative errno after one line in the log that
 * says where it does not, and what to write instead. Clear RET in any case.
 */
int config_read(const char *path, struct sets *ret);
