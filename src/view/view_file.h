/* SPDX-License-Identifier: MIT */
/*
 * An open file of a view: the source's file, or a share of it. It caches the last stripes, so that
 * small reads do not make the same stripe repeatedly, and makes the next ones ahead. Any thread may
 * use it.
 */
#pragma once

#include "share/stripe.h"
#include "view/source.h"

#include <stddef.h>
#include <stdint.h>

struct stripe_cache;

struct view_file {
    struct stat status; /* as it was opened: of the version that is read */
    /* Open files of one path with equal numbers give the same bytes. 0: not known. */
    uint64_t content;
    /* Owned. The file is a header, then a piece for each stripe, of which the last is shorter. */
    struct source_file *source;
    uint64_t size;
    size_t header_size, piece_size;
    uint8_t header[KEY_SHARE_SIZE];
    struct encoder *encoder;     /* makes the share's blocks; NULL: the pieces are the stripes */
    struct stripe_cache *pieces; /* NULL for an empty file */
};

/* Opens share number SHARE of SOURCE, or (below 0) SOURCE itself. Takes SOURCE over if it returns
 * 0. */
int view_file_new(struct source_file *source, int share, struct view_file **ret);

/*
 * Reads bytes OFFSET .. OFFSET + SIZE - 1, fewer only at the file's end (*RET says how many). A
 * range that contains a bad byte fails as a whole.
 */
int view_read(struct view_file *file, uint64_t offset, size_t size, uint8_t *data, size_t *ret);

/*
 * Like lseek(2) with SEEK_DATA or SEEK_HOLE. Zeros may be reported as a hole. -ENOSYS: this view
 * does not know any file's holes.
 */
int view_seek(struct view_file *file, uint64_t offset, int whence, uint64_t *ret);

/* Closes the file. No read of it may be under way. */
void view_close(struct view_file *file);

/*
 * A cache of a file's stripes, or of the blocks made of them. Readers of different stripes run in
 * parallel; readers of one stripe wait for one maker. Memory is bounded: a few entries, allocated
 * on demand. If all files together have too many, those not read lately give theirs up.
 */

/* Fills DATA (of the cache's entry size) with what is cached of stripe STRIPE of FILE. */
typedef int stripe_maker(void *file, uint64_t stripe, uint8_t *data);

/*
 * AHEAD: the number of the file's stripes, for stripe_cache_begin; 0: none are made ahead. For
 * distant files, where each stripe costs a round trip.
 */
int stripe_cache_new(size_t entry_size, uint64_t ahead, stripe_maker *make, void *file,
                     struct stripe_cache **ret);

/* Frees the cache after the stripes that are being made ahead. */
void stripe_cache_free(struct stripe_cache *cache);

/* Announces reads of the stripes FIRST to LAST: is the reader a sequential one? */
void stripe_cache_expect(struct stripe_cache *cache, uint64_t first, uint64_t last);

/*
 * Call before each of these is read: as many as are allowed of those behind FIRST are made at once,
 * and for a sequential reader more and more of those that follow LAST.
 *
 * Measured with five stores that answer after 20 to 50 ms: without it, reading 16 MiB takes 2.2
 * times as long.
 */
void stripe_cache_begin(struct stripe_cache *cache, uint64_t first, uint64_t last);

/*
 * Copies SIZE bytes from FROM on of stripe STRIPE's entry (0: just has the entry made if it is
 * missing). If a missing one is wanted whole, it is made at DATA and not cached. Returns the
 * maker's error if any.
 */
int stripe_cache_read(struct stripe_cache *cache, uint64_t stripe, size_t from, size_t size,
                      uint8_t *data);

DEFINE_CLEANUP(struct view_file *, view_close)
DEFINE_CLEANUP(struct stripe_cache *, stripe_cache_free)
#define cleanup_view_file    CLEANUP(cleanup_by_view_close)
#define cleanup_stripe_cache CLEANUP(cleanup_by_stripe_cache_free)
