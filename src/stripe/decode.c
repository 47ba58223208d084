/* SPDX-License-Identifier: MIT */
#include "stripe/decode.h"

#include "base/buffer.h"
#include "code/interpolation.h"
#include "share/block.h"
#include "stripe/pieces.h"

#include <stdbool.h>
#include <string.h>

/* Writes pieces 0..k-1, U bytes each and one behind the other, from k payloads. */
static int fill_pieces(unsigned required, size_t u, const uint8_t indices[],
                       const uint8_t *const payloads[], uint8_t *pieces)
{
    cleanup_interpolation struct interpolation *interpolation = NULL;
    bool present[CODE_SHARES_MAX] = {false};
    uint8_t missing[CODE_REQUIRED_MAX], *wanted[CODE_REQUIRED_MAX];
    unsigned count = 0;

    for (unsigned s = 0; s < required; s++) {
        if (present[indices[s]])
            return -EINVAL;
        present[indices[s]] = true;
        if (indices[s] < required)
            memcpy(pieces + indices[s] * u, payloads[s], u);
    }
    for (unsigned p = 0; p < required; p++) {
        if (!present[p]) {
            missing[count] = (uint8_t)p;
            wanted[count++] = pieces + p * u;
        }
    }
    if (count == 0)
        return 0;
    int r = interpolation_new(required, indices, count, missing, &interpolation);
    if (r < 0)
        return r;
    interpolation_run(interpolation, u, payloads, wanted);
    return 0;
}

static int fill_stripe(const struct share_layout *layout, size_t u, const uint8_t indices[],
                       const uint8_t *const payloads[], uint8_t *data)
{
    cleanup_buffer struct buffer split = NO_BUFFER;

    if (!pieces_are_interleaved(layout))
        return fill_pieces(layout->required, u, indices, payloads, data);
    int r = buffer_take(layout->required * u, &split);
    if (r == 0)
        r = fill_pieces(layout->required, u, indices, payloads, split.data);
    if (r == 0)
        pieces_join(layout, u, split.data, data);
    return r;
}

int stripe_decode(const struct share_layout *layout, uint64_t stripe, const uint8_t indices[],
                  const uint8_t *const blocks[], uint8_t *data)
{
    bool checked = layout->format == SHARE_CHECKED;
    const uint8_t *payloads[CODE_REQUIRED_MAX];
    uint8_t digest[HASH_SIZE];

    for (unsigned s = 0; s < layout->required; s++) {
        payloads[s] = blocks[s] + (checked ? BLOCK_DIGEST_SIZE : 0);
        if (checked && memcmp(blocks[s], blocks[0], BLOCK_DIGEST_SIZE) != 0)
            return -EBADMSG;
    }
    int r = fill_stripe(layout, layout_payload_size(layout, stripe), indices, payloads, data);
    if (r < 0 || !checked)
        return r;
    stripe_digest(data, layout_stripe_size(layout, stripe), stripe, digest);
    return memcmp(digest, blocks[0], sizeof digest) == 0 ? 0 : -EBADMSG;
}
