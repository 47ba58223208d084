/* SPDX-License-Identifier: MIT */
#include "share/secret.h"

#include <errno.h>
#include <isa-l/erasure_code.h>
#include <string.h>

void secret_share(const uint8_t *secret, const uint8_t *coefficients, unsigned required,
                  size_t size, uint8_t x, uint8_t *ret)
{
    memset(ret, 0, size);
    for (unsigned j = required; j-- > 0;) {
        const uint8_t *coefficient = j > 0 ? coefficients + (j - 1) * size : secret;
        for (size_t b = 0; b < size; b++)
            ret[b] = gf_mul(ret[b], x) ^ coefficient[b];
    }
}

/* Lagrange's coefficient of share S at 0: the product over the others of x_q / (x_q - x_s). 0: two
 * are at one place, or one is at 0. */
static uint8_t weight(unsigned count, const uint8_t xs[], unsigned s)
{
    uint8_t above = 1, below = 1;

    for (unsigned q = 0; q < count; q++) {
        if (q == s)
            continue;
        above = gf_mul(above, xs[q]);
        below = gf_mul(below, xs[q] ^ xs[s]);
    }
    return below == 0 ? 0 : gf_mul(above, gf_inv(below));
}

int secret_combine(unsigned count, const uint8_t xs[], const uint8_t *const values[], size_t size,
                   uint8_t *ret)
{
    memset(ret, 0, size);
    for (unsigned s = 0; s < count; s++) {
        uint8_t factor = weight(count, xs, s);
        if (factor == 0 || xs[s] == 0)
            return -EINVAL;
        for (size_t b = 0; b < size; b++)
            ret[b] ^= gf_mul(factor, values[s][b]);
    }
    return count > 0 ? 0 : -EINVAL;
}
