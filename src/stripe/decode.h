/* SPDX-License-Identifier: MIT */
/* From the blocks of any k shares back to the stripe. */
#pragma once

#include "share/layout.h"

/*
 * Stripe number STRIPE from the blocks (intact, of one version) of the k different shares of
 * INDICES, to DATA, which has room for k*u bytes. Returns 0, -ENOMEM, -EINVAL (an index twice),
 * or, in checked format, -EBADMSG where the blocks' digests or the result's are not all the same.
 */
int stripe_decode(const struct share_layout *layout, uint64_t stripe, const uint8_t indices[],
                  const uint8_t *const blocks[], uint8_t *data);
