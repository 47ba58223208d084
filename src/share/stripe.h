/* SPDX-License-Identifier: MIT */
/* From a stripe of the source to the blocks of its shares, and back from those of any k of them. */
#pragma once

#include "base/cleanup.h"
#include "share/block.h"
#include "share/format.h"

/* Makes the blocks of some shares of one file. Read-only once made: any thread may use it. */
struct encoder;

/* LAYOUT is copied. COUNT (1..256) shares, of INDICES. Returns 0 or -ENOMEM. */
int encoder_new(const struct share_layout *layout, unsigned count, const uint8_t indices[],
                struct encoder **ret);

void encoder_free(struct encoder *encoder);

/*
 * Encodes stripe number STRIPE at DATA, which has room for k*u bytes; overwrites those behind the
 * stripe's own with zeros. DIGEST: what its blocks have before the payload, in the sealed format;
 * in others it follows from DATA, and is not looked at. Writes layout_block_size bytes, the block
 * of share INDICES[s], to BLOCKS[s]. Returns 0 or -ENOMEM.
 */
int encoder_run(const struct encoder *encoder, uint64_t stripe, uint8_t *data,
                const uint8_t *digest, uint8_t *const blocks[]);

/* As encoder_run, for a stripe of zeros; not in the sealed format. */
int encoder_run_zeros(const struct encoder *encoder, uint64_t stripe, uint8_t *const blocks[]);

/*
 * Restores stripe number STRIPE from the blocks (intact, of one version) of the k different shares
 * INDICES to DATA, which has room for k*u bytes. Returns 0, -ENOMEM, -EINVAL (an index twice),
 * or, in checked format, -EBADMSG where the blocks' digests or the result's are not all the same;
 * in the sealed one only the blocks' can be compared.
 */
int stripe_decode(const struct share_layout *layout, uint64_t stripe, const uint8_t indices[],
                  const uint8_t *const blocks[], uint8_t *data);

/*
 * Opens sealed stripes, which proves them: decrypts stripe number STRIPE at DATA in place. -EBADMSG
 * where DIGEST was not made with its key for these bytes; DATA is undefined then.
 */
struct stripe_opener {
    int (*open)(const struct stripe_opener *opener, uint64_t stripe, uint8_t *data,
                const uint8_t digest[HASH_SIZE]);
};

DEFINE_CLEANUP(struct encoder *, encoder_free)
#define cleanup_encoder CLEANUP(cleanup_by_encoder_free)
