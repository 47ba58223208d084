/* SPDX-License-Identifier: MIT */
/*
 * Shamir's sharing over the code's field, GF(2^8) with the polynomial 0x11D: byte by byte, the
 * secret is the value at 0 of a polynomial of degree < k, and each share of it a value elsewhere.
 * Pure arithmetic; where the coefficients come from is the caller's to say.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * The value at X (1..255) of the polynomial whose value at 0 is SECRET, and whose coefficient of
 * x^j (j = 1..REQUIRED - 1) is at COEFFICIENTS + (j - 1) * SIZE.
 */
void secret_share(const uint8_t *secret, const uint8_t *coefficients, unsigned required,
                  size_t size, uint8_t x, uint8_t *ret);

/* The value at 0 of the polynomial of degree < COUNT that has VALUES[s] at XS[s], all different and
 * none of them 0. Returns 0, or -EINVAL for other XS. That at another place X is the value at 0
 * where all XS are moved by X, which is to be added to them: XS[s] ^ X. */
int secret_combine(unsigned count, const uint8_t xs[], const uint8_t *const values[], size_t size,
                   uint8_t *ret);
