/* SPDX-License-Identifier: MIT */
#include "stripe/encode.h"

#include "base/buffer.h"
#include "base/zeros.h"
#include "code/interpolation.h"
#include "share/block.h"
#include "stripe/pieces.h"

#include <string.h>

struct encoder {
    struct share_layout layout;
    struct interpolation *parity; /* makes the shares of index k and above; NULL if none */
    unsigned count;
    uint8_t indices[CODE_SHARES_MAX];
};

/* From pieces 0..k-1 to those of the wanted shares that are no pieces themselves. */
static int parity_interpolation(const struct share_layout *layout, unsigned count,
                                const uint8_t indices[], struct interpolation **ret)
{
    uint8_t pieces[CODE_REQUIRED_MAX], wanted[CODE_SHARES_MAX];
    unsigned parities = 0;

    for (unsigned p = 0; p < layout->required; p++)
        pieces[p] = (uint8_t)p;
    for (unsigned s = 0; s < count; s++) {
        if (indices[s] >= layout->required)
            wanted[parities++] = indices[s];
    }
    if (parities == 0) {
        *ret = NULL;
        return 0;
    }
    return interpolation_new(layout->required, pieces, parities, wanted, ret);
}

int encoder_new(const struct share_layout *layout, unsigned count, const uint8_t indices[],
                struct encoder **ret)
{
    cleanup_interpolation struct interpolation *parity = NULL;

    int r = parity_interpolation(layout, count, indices, &parity);
    if (r < 0)
        return r;
    struct encoder *encoder = malloc(sizeof *encoder);
    if (!encoder)
        return -ENOMEM;
    *encoder = (struct encoder){
        .layout = *layout,
        .parity = steal_pointer(parity),
        .count = count,
    };
    memcpy(encoder->indices, indices, count);
    *ret = encoder;
    return 0;
}

void encoder_free(struct encoder *encoder)
{
    if (encoder->parity)
        interpolation_free(encoder->parity);
    free(encoder);
}

/* Writes every block's payload, which is U bytes at OFFSET. */
static void fill_payloads(const struct encoder *encoder, size_t u, const uint8_t *pieces,
                          size_t offset, uint8_t *const blocks[])
{
    const uint8_t *known[CODE_REQUIRED_MAX];
    uint8_t *wanted[CODE_SHARES_MAX];
    unsigned parities = 0;

    for (unsigned p = 0; p < encoder->layout.required; p++)
        known[p] = pieces + p * u;
    for (unsigned s = 0; s < encoder->count; s++) {
        if (encoder->indices[s] < encoder->layout.required)
            memcpy(blocks[s] + offset, known[encoder->indices[s]], u);
        else
            wanted[parities++] = blocks[s] + offset;
    }
    if (parities > 0)
        interpolation_run(encoder->parity, u, known, wanted);
}

/* Writes digest and check around the payloads, which are those of DATA. */
static void seal(const struct encoder *encoder, uint64_t stripe, const uint8_t *data,
                 uint8_t *const blocks[])
{
    size_t size = layout_stripe_size(&encoder->layout, stripe);
    uint8_t digest[HASH_SIZE];

    stripe_digest(data, size, stripe, digest);
    for (unsigned s = 0; s < encoder->count; s++) {
        memcpy(blocks[s], digest, sizeof digest);
        block_seal(blocks[s], layout_payload_size(&encoder->layout, stripe), stripe,
                   encoder->indices[s]);
    }
}

int encoder_run(const struct encoder *encoder, uint64_t stripe, uint8_t *data,
                uint8_t *const blocks[])
{
    const struct share_layout *layout = &encoder->layout;
    size_t size = layout_stripe_size(layout, stripe), u = layout_payload_size(layout, stripe);
    cleanup_buffer struct buffer split = NO_BUFFER;
    const uint8_t *pieces = data;

    memset(data + size, 0, layout->required * u - size);
    if (pieces_are_interleaved(layout)) {
        int r = buffer_take(layout->required * u, &split);
        if (r < 0)
            return r;
        pieces_split(layout, u, data, split.data);
        pieces = split.data;
    }
    if (layout->format != SHARE_CHECKED) {
        fill_payloads(encoder, u, pieces, 0, blocks);
        return 0;
    }
    fill_payloads(encoder, u, pieces, BLOCK_DIGEST_SIZE, blocks);
    seal(encoder, stripe, data, blocks);
    return 0;
}

int encoder_run_zeros(const struct encoder *encoder, uint64_t stripe, uint8_t *const blocks[])
{
    const struct share_layout *layout = &encoder->layout;
    const uint8_t *data = zeros();

    if (!data)
        return -ENOMEM;
    for (unsigned s = 0; s < encoder->count; s++)
        memset(blocks[s], 0, layout_block_size(layout, stripe));
    if (layout->format == SHARE_CHECKED)
        seal(encoder, stripe, data, blocks);
    return 0;
}
