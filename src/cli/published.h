/* SPDX-License-Identifier: MIT */
/* Files that others may read at any time, like a web page: each is replaced as a whole. */
#pragma once

#include "base/cleanup.h"

#include <sys/types.h>

struct published {
    const char *option, *path; /* the option that asked for it, and its value */
    const char *name;          /* its last part */
    int directory;             /* the directory of NAME, open */
};

/* All return 0, or a negative errno after one line in the log. Clear RET in any case. */

/* OPTION and PATH must stay valid. PATH may be an existing file, but nothing else that exists. */
int published_open(struct published *ret, const char *option, const char *path);

/* Returns 0 if it could be written now; leaves nothing behind. */
int published_try(const struct published *published);

/* Replaces the file by TEXT, with MODE. TEXT is NULL if there was no memory. */
int published_write(const struct published *published, const char *text, mode_t mode);

void published_close(struct published *published);

#define cleanup_published CLEANUP(published_close)
