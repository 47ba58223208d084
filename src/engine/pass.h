/* SPDX-License-Identifier: MIT */
/*
 * One pass over a file for several targets: it is read once, stripe by stripe, several parts at a
 * time, and each stripe becomes a block of each share that is wanted, or is taken as it is.
 */
#pragma once

#include "base/pool.h"
#include "engine/progress.h"
#include "engine/target.h"

#include <stdbool.h>

/* A file in a target, new or there already. Any thread may change what is atomic. */
struct new_file {
    const struct target *target;
    int fd;
    atomic_int result;            /* 0, or the first that went wrong */
    atomic_uint_fast64_t written; /* stands for all that was written */
    atomic_bool has_holes;        /* of these nothing was taken */
};

/* What is done with SIZE bytes that belong at OFFSET. Any thread, in any order. 0 or an errno. */
typedef int take_bytes(struct new_file *file, uint64_t offset, const uint8_t *data, size_t size);

struct pass {
    struct source_file *source;
    struct new_file *files;
    size_t count;
    take_bytes *take;  /* the same pieces in each pass; not after the file's result is an error */
    bool skips_zeros;  /* of whole files: they are holes */
    bool skips_errors; /* so are stripes that cannot be read */
    struct pool *pool; /* whose idle threads help; NULL: none */
    struct progress *progress;
};

/*
 * Returns how many stripes could not be read, or a negative errno of the source, or -ECANCELED
 * where the progress says that it should stop.
 */
int pass_run(const struct pass *pass);

/* The end of the piece of a share that begins at byte AT, as a pass has them. */
uint64_t pass_piece_end(const struct share_layout *layout, uint64_t at);
