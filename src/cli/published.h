/* SPDX-License-Identifier: MIT */
/* Files that others read at any time, like a web page: each is replaced as a whole. */
#pragma once

#include "base/cleanup.h"

#include <sys/types.h>

struct published {
    const char *option, *path; /* by which it was asked for */
    const char *name;          /* its last part */
    int directory;             /* in which that is */
};

/* All return 0, or a negative errno after one line in the log. Clear RET in any case. */

/* OPTION and PATH have to stay. PATH may be a file, and nothing else that is there already. */
int published_open(struct published *ret, const char *option, const char *path);

/* Returns 0 if it could be written now; leaves nothing behind. */
int published_try(const struct published *published);

/* Puts TEXT in its place, with MODE. TEXT is NULL for want of memory. */
int published_write(const struct published *published, const char *text, mode_t mode);

void published_close(struct published *published);

#define cleanup_published CLEANUP(published_close)
