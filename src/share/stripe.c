/* SPDX-License-Identifier: MIT */
#include "share/stripe.h"

#include "base/buffer.h"
#include "base/zeros.h"
#include "share/block.h"
#include "share/interpolation.h"

#include <string.h>

struct encoder {
    struct share_layout layout;
    struct interpolation *parity; /* makes the shares of index k and above; NULL if none */
    unsigned count;
    uint8_t indices[CODE_SHARES_MAX];
};

int encoder_new(const struct share_layout *layout, unsigned count, const uint8_t indices[],
                struct encoder **ret)
{
    uint8_t pieces[CODE_REQUIRED_MAX], wanted[CODE_SHARES_MAX];
    unsigned parities = 0;

    for (unsigned p = 0; p < layout->required; p++)
        pieces[p] = (uint8_t)p;
    for (unsigned s = 0; s < count; s++) {
        if (indices[s] >= layout->required)
            wanted[parities++] = indices[s];
    }
    cleanup_encoder struct encoder *encoder = calloc(1, sizeof *encoder);
    if (!encoder)
        return -ENOMEM;
    encoder->layout = *layout;
    encoder->count = count;
    memcpy(encoder->indices, indices, count);
    int r = 0;
    if (parities > 0)
        r = interpolation_new(layout->required, pieces, parities, wanted, &encoder->parity);
    if (r == 0)
        *ret = steal_pointer(encoder);
    return r;
}

void encoder_free(struct encoder *encoder)
{
    interpolation_free(encoder->parity);
    free(encoder);
}

/* Writes DIGEST and check around the payloads, where the format has them. */
static void seal(const struct encoder *encoder, uint64_t stripe, const uint8_t digest[HASH_SIZE],
                 uint8_t *const blocks[])
{
    const struct share_layout *layout = &encoder->layout;

    for (unsigned s = 0; formats[layout->format]->has_checks && s < encoder->count; s++) {
        memcpy(blocks[s], digest, HASH_SIZE);
        block_seal(blocks[s], layout_payload_size(layout, stripe), stripe, encoder->indices[s]);
    }
}

int encoder_run(const struct encoder *encoder, uint64_t stripe, uint8_t *data,
                const uint8_t *digest, uint8_t *const blocks[])
{
    const struct share_layout *layout = &encoder->layout;
    const struct format *format = formats[layout->format];
    size_t size = layout_stripe_size(layout, stripe), u = layout_payload_size(layout, stripe);
    size_t k = layout->required, offset = format->has_checks ? HASH_SIZE : 0;
    cleanup_buffer struct buffer split = NO_BUFFER;
    const uint8_t *known[CODE_REQUIRED_MAX];
    uint8_t *wanted[CODE_SHARES_MAX], own[HASH_SIZE];
    unsigned parities = 0;

    memset(data + size, 0, k * u - size);
    int r = format->is_interleaved ? buffer_take(k * u, &split) : 0;
    if (r < 0)
        return r;
    for (size_t p = 0; p < k; p++) {
        known[p] = (split.data ? split.data : data) + p * u;
        for (size_t j = 0; split.data && j < u; j++)
            split.data[p * u + j] = data[j * k + p];
    }
    for (unsigned s = 0; s < encoder->count; s++) {
        if (encoder->indices[s] < k)
            memcpy(blocks[s] + offset, known[encoder->indices[s]], u);
        else
            wanted[parities++] = blocks[s] + offset;
    }
    if (encoder->parity)
        interpolation_run(encoder->parity, u, known, wanted);
    if (format->has_checks && !format->is_sealed) {
        hash(data, size, stripe, own);
        digest = own;
    }
    seal(encoder, stripe, digest, blocks);
    return 0;
}

int encoder_run_zeros(const struct encoder *encoder, uint64_t stripe, uint8_t *const blocks[])
{
    const uint8_t *data = zeros();
    uint8_t digest[HASH_SIZE];

    if (formats[encoder->layout.format]->is_sealed)
        return -EINVAL;
    if (!data)
        return -ENOMEM;
    for (unsigned s = 0; s < encoder->count; s++)
        memset(blocks[s], 0, layout_block_size(&encoder->layout, stripe));
    if (formats[encoder->layout.format]->has_checks)
        hash(data, layout_stripe_size(&encoder->layout, stripe), stripe, digest);
    seal(encoder, stripe, digest, blocks);
    return 0;
}

/* Writes pieces 0..k-1, U bytes each and one behind the other, from k payloads. */
static int fill_pieces(unsigned required, size_t u, const uint8_t indices[],
                       const uint8_t *const payloads[], uint8_t *pieces)
{
    cleanup_interpolation struct interpolation *interpolation = NULL;
    bool present[CODE_SHARES_MAX] = {false};
    uint8_t missing[CODE_REQUIRED_MAX], *wanted[CODE_REQUIRED_MAX];
    unsigned count = 0;

    for (unsigned s = 0; s < required; s++) {
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
    /* Where an index is there twice, a piece is missing, and this fails. */
    int r = count > 0 ? interpolation_new(required, indices, count, missing, &interpolation) : 0;
    if (interpolation)
        interpolation_run(interpolation, u, payloads, wanted);
    return r;
}

int stripe_decode(const struct share_layout *layout, uint64_t stripe, const uint8_t indices[],
                  const uint8_t *const blocks[], uint8_t *data)
{
    const struct format *format = formats[layout->format];
    size_t k = layout->required, u = layout_payload_size(layout, stripe);
    cleanup_buffer struct buffer split = NO_BUFFER;
    const uint8_t *payloads[CODE_REQUIRED_MAX];
    uint8_t digest[HASH_SIZE];

    for (unsigned s = 0; s < k; s++) {
        payloads[s] = blocks[s] + (format->has_checks ? HASH_SIZE : 0);
        if (format->has_checks && memcmp(blocks[s], blocks[0], HASH_SIZE) != 0)
            return -EBADMSG;
    }
    int r = format->is_interleaved ? buffer_take(k * u, &split) : 0;
    if (r == 0)
        r = fill_pieces(layout->required, u, indices, payloads, split.data ? split.data : data);
    if (r < 0)
        return r;
    for (size_t p = 0; split.data && p < k; p++) {
        for (size_t j = 0; j < u; j++)
            data[j * k + p] = split.data[p * u + j];
    }
    if (!format->has_checks || format->is_sealed)
        return 0;
    hash(data, layout_stripe_size(layout, stripe), stripe, digest);
    return memcmp(digest, blocks[0], sizeof digest) == 0 ? 0 : -EBADMSG;
}
