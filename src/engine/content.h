/* SPDX-License-Identifier: MIT */
/*
 * The content of one file for several targets: it is read once, stripe by stripe, several parts at
 * a time, and each stripe becomes a block of each share that is wanted, or is taken as it is.
 */
#pragma once

#include "base/pool.h"
#include "engine/progress.h"
#include "engine/target.h"

struct content {
    struct source_file *source;
    struct slot *slots; /* those whose file is open take part; results are in them */
    size_t count;
    bool compares;     /* writes nothing: -EBADMSG where something else is there */
    bool reread;       /* shares, once written, from the disk if possible: -EBADMSG as well */
    bool holes;        /* leave out stripes that cannot be read */
    struct pool *pool; /* whose idle threads help; NULL: none */
    struct progress *progress;
};

/*
 * Writes or compares the content. Returns 0 where the source could be read, or with HOLES how many
 * stripes could not; otherwise its error, or -ECANCELED where the progress says to stop.
 */
int content_run(const struct content *content);

/*
 * Returns 1 if two open files of one layout have the same content, 0 if not, the source's error, or
 * -ECANCELED.
 */
int content_is_same(struct source_file *a, struct source_file *b, const struct progress *progress);
