/* SPDX-License-Identifier: MIT */
/*
 * The content of one file for several targets at once: the source is read once, stripe by stripe,
 * and each stripe becomes a block of each share that is wanted, or is written as it is.
 */
#pragma once

#include "tool/progress.h"
#include "tool/target.h"
#include "tree/temporary.h"

/* What is written for one target, or what is there and compared. */
struct new_file {
    const struct target *target;
    int fd;
    int result;       /* 0, or why it could not be written; -EBADMSG: it is another content */
    uint64_t written; /* stands for all that was written */
    bool has_holes;
};

/*
 * Writes FILE's content for COUNT targets to their descriptors. Returns 0 where the source could be
 * read; single results are in FILES. Where some stripes cannot be read: with HOLES these are left
 * out, and how many there are returned; otherwise the source's error. -ECANCELED where PROGRESS
 * says that it should stop.
 */
int content_write(struct source_file *file, struct new_file files[], size_t count, bool holes,
                  const struct progress *progress);

/* Reads what was written again, from the disk if possible; -EBADMSG is the result where it differs.
 */
void content_reread(const struct source_file *file, struct new_file *written);

/* Compares what is there with what would be written. Returns as above. */
int content_compare(struct source_file *file, struct new_file files[], size_t count,
                    const struct progress *progress);
