/* SPDX-License-Identifier: MIT */
#include "share/interpolation.h"

#include <isa-l/erasure_code.h>
#include <pthread.h>
#include <stdbool.h>

enum {
    TABLE_SIZE = 32, /* what ISA-L keeps for each coefficient, at most */
};

struct interpolation {
    int required;
    int count;
    uint8_t tables[]; /* of ec_init_tables, a row of k coefficients for each wanted share */
};

static pthread_once_t points_filled = PTHREAD_ONCE_INIT;
static uint8_t points[CODE_SHARES_MAX];

static void fill_points(void)
{
    points[0] = 0;
    points[1] = 1;
    for (unsigned i = 2; i < CODE_SHARES_MAX; i++)
        points[i] = gf_mul(points[i - 1], 2);
}

/*
 * The part of the Lagrange coefficients that is the same for every wanted share:
 * weights[s] = product over q != s of (x_s - x_q). Returns false if one is 0: a share is known
 * twice.
 */
static bool fill_weights(unsigned required, const uint8_t known[], uint8_t weights[])
{
    for (unsigned s = 0; s < required; s++) {
        weights[s] = 1;
        for (unsigned q = 0; q < required; q++) {
            if (q != s)
                weights[s] = gf_mul(weights[s], points[known[s]] ^ points[known[q]]);
        }
        if (weights[s] == 0)
            return false;
    }
    return true;
}

/* row[s] = product over q != s of (x_i - x_q) / (x_s - x_q), for the wanted share i. */
static void fill_row(unsigned required, const uint8_t known[], const uint8_t weights[],
                     uint8_t wanted, uint8_t row[])
{
    uint8_t product = 1; /* over all q of (x_i - x_q) */

    for (unsigned q = 0; q < required; q++)
        product = gf_mul(product, points[wanted] ^ points[known[q]]);
    for (unsigned s = 0; s < required; s++) {
        if (known[s] == wanted) {
            row[s] = 1;
            continue;
        }
        uint8_t below = gf_mul(points[wanted] ^ points[known[s]], weights[s]);
        row[s] = gf_mul(product, gf_inv(below));
    }
}

int interpolation_new(unsigned required, const uint8_t known[], unsigned count,
                      const uint8_t wanted[], struct interpolation **ret)
{
    uint8_t weights[CODE_REQUIRED_MAX];
    uint8_t rows[CODE_SHARES_MAX * CODE_REQUIRED_MAX];

    pthread_once(&points_filled, fill_points);
    if (required < 1 || required > CODE_REQUIRED_MAX || count < 1 || count > CODE_SHARES_MAX ||
        !fill_weights(required, known, weights))
        return -EINVAL;

    size_t size = (size_t)required * count * TABLE_SIZE;
    struct interpolation *interpolation = malloc(sizeof *interpolation + size);
    if (!interpolation)
        return -ENOMEM;
    interpolation->required = (int)required;
    interpolation->count = (int)count;

    for (unsigned w = 0; w < count; w++)
        fill_row(required, known, weights, wanted[w], rows + (size_t)w * required);
    /* All rows in one call: how far apart their tables lie is ISA-L's to say. */
    ec_init_tables((int)required, (int)count, rows, interpolation->tables);
    *ret = interpolation;
    return 0;
}

void interpolation_free(struct interpolation *interpolation)
{
    free(interpolation);
}

void interpolation_run(const struct interpolation *interpolation, size_t length,
                       const uint8_t *const known[], uint8_t *const wanted[])
{
    /* ISA-L writes to no more than the targets, but does not say so. */
    ec_encode_data((int)length, interpolation->required, interpolation->count,
                   (uint8_t *)interpolation->tables, (uint8_t **)known, (uint8_t **)wanted);
}
