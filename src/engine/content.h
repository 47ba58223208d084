/* SPDX-License-Identifier: MIT */
/* The content of one file for several targets at once: see pass.h. */
#pragma once

#include "engine/pass.h"

/* What is to be done beside, and by whom. */
struct content_settings {
    bool holes;        /* leave out stripes that cannot be read */
    bool reread;       /* read what was written again, from the disk if possible */
    struct pool *pool; /* whose idle threads help; NULL: none */
    struct progress *progress;
};

/*
 * Writes FILE's content for COUNT targets to their descriptors. Returns 0 where the source could be
 * read, or with HOLES how many stripes could not; otherwise its error, or -ECANCELED. Single
 * results are in FILES: -EBADMSG where another content was read again than was written.
 */
int content_write(struct source_file *file, struct new_file files[], size_t count,
                  const struct content_settings *settings);

/*
 * Compares what is there with what would be written, with -EBADMSG as the result where it differs.
 * Returns as above.
 */
int content_compare(struct source_file *file, struct new_file files[], size_t count,
                    const struct content_settings *settings);
