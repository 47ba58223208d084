/* SPDX-License-Identifier: MIT */
/*
 * A stripe and its k pieces of u bytes each (u = layout_payload_size), the end filled up with
 * zeros. In checked and fec format piece p is bytes p*u .. of the stripe, so that a stripe lies
 * in memory as its pieces do; in classic format byte j of the stripe is in piece j mod k.
 */
#pragma once

#include "share/layout.h"

#include <stdbool.h>

/* Whether the pieces have to be copied out of the stripe and back. */
bool pieces_are_interleaved(const struct share_layout *layout);

/* STRIPE, room for k*u bytes, to PIECES, k*u bytes as they stand one behind the other. */
void pieces_split(const struct share_layout *layout, size_t piece_size, const uint8_t *stripe,
                  uint8_t *pieces);

/* The way back; STRIPE has room for k*u bytes. */
void pieces_join(const struct share_layout *layout, size_t piece_size, const uint8_t *pieces,
                 uint8_t *stripe);
