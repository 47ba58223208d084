/* SPDX-License-Identifier: MIT */
#include "stripe/pieces.h"

bool pieces_are_interleaved(const struct share_layout *layout)
{
    return layout->format == SHARE_CLASSIC;
}

void pieces_split(const struct share_layout *layout, size_t piece_size, const uint8_t *stripe,
                  uint8_t *pieces)
{
    for (size_t p = 0; p < layout->required; p++) {
        uint8_t *piece = pieces + p * piece_size;
        for (size_t j = 0; j < piece_size; j++)
            piece[j] = stripe[j * layout->required + p];
    }
}

void pieces_join(const struct share_layout *layout, size_t piece_size, const uint8_t *pieces,
                 uint8_t *stripe)
{
    for (size_t p = 0; p < layout->required; p++) {
        const uint8_t *piece = pieces + p * piece_size;
        for (size_t j = 0; j < piece_size; j++)
            stripe[j * layout->required + p] = piece[j];
    }
}
