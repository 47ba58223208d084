/* SPDX-License-Identifier: MIT */
/*
 * An open file of a view: the source's file, or a share of it. Below it are its last stripes, so
 * that a reader of small pieces does not have the same one made over and over, and those that come
 * next. Any thread may use it.
 */
#pragma once

#include "share/stripe.h"
#include "view/source.h"

#include <stddef.h>
#include <stdint.h>

struct stripe_cache;

struct view_file {
    struct stat status; /* when it was opened: that of the version which is read */
    /* Open files of one path with one number give the same bytes. 0: nothing is known of that. */
    uint64_t content;
    /* The file's own. It is a header, and then a piece for each stripe, the last one shorter. */
    struct source_file *source;
    uint64_t size;
    size_t header_size, piece_size;
    uint8_t header[KEY_SHARE_SIZE];
    struct encoder *encoder;     /* makes the share's blocks; NULL: the pieces are the stripes */
    struct stripe_cache *pieces; /* NULL for an empty file */
};

/* Share number SHARE of SOURCE, or (below 0) SOURCE itself. Takes it over where it returns 0. */
int view_file_new(struct source_file *source, int share, struct view_file **ret);

/*
 * Bytes OFFSET .. OFFSET + SIZE - 1, fewer only at the file's end (*RET says how many). A range
 * with a bad byte in it fails as a whole.
 */
int view_read(struct view_file *file, uint64_t offset, size_t size, uint8_t *data, size_t *ret);

/*
 * As lseek(2) with SEEK_DATA or SEEK_HOLE. Bytes that are nothing but zeros may be a hole. -ENOSYS:
 * nothing is known of the holes of any file of this view.
 */
int view_seek(struct view_file *file, uint64_t offset, int whence, uint64_t *ret);

/* No read of it may be under way. */
void view_close(struct view_file *file);

/*
 * What is kept of a file's stripes: the stripe itself, or a block made of it. Readers of different
 * stripes are served in parallel, those of one stripe wait for one maker. Memory is bounded: a few
 * entries, made only when they are needed, and given up by files that were not read lately where
 * all files together have many.
 */

/* Fills DATA (of the cache's entry size) with what is kept of stripe STRIPE of FILE. */
typedef int stripe_maker(void *file, uint64_t stripe, uint8_t *data);

/*
 * AHEAD: the stripes of the file, to have those made before they are asked for that
 * stripe_cache_expect tells of; 0: none are. For files that are far away, where each stripe costs
 * the time of the way.
 */
int stripe_cache_new(size_t entry_size, uint64_t ahead, stripe_maker *make, void *file,
                     struct stripe_cache **ret);

/* Waits for the stripes that are being made ahead. */
void stripe_cache_free(struct stripe_cache *cache);

/*
 * The stripes FIRST to LAST are about to be read: they are made all at once, and for a reader who
 * goes through the file more and more of those that come next.
 *
 * Measured with five stores that answer after 20 to 50 ms: without it, to read 16 MiB takes 2.2
 * times as long.
 */
void stripe_cache_expect(struct stripe_cache *cache, uint64_t first, uint64_t last);

/*
 * Copies SIZE bytes (0: it is made, if it is not there), from FROM on, of stripe STRIPE's entry.
 * All of one that is not there is made at DATA, and not kept. Returns the maker's error if any.
 */
int stripe_cache_read(struct stripe_cache *cache, uint64_t stripe, size_t from, size_t size,
                      uint8_t *data);

DEFINE_CLEANUP(struct view_file *, view_close)
DEFINE_CLEANUP(struct stripe_cache *, stripe_cache_free)
#define cleanup_view_file    CLEANUP(cleanup_by_view_close)
#define cleanup_stripe_cache CLEANUP(cleanup_by_stripe_cache_free)
