/* SPDX-License-Identifier: MIT */
/*
 * ISA-L's own rate, with a matrix of its own: prints the bytes of source for which it makes
 * PARITIES shares in a second, from K pieces of SIZE bytes that stay in the cache.
 *
 *     isal K PARITIES SIZE SECONDS
 */
#include <isa-l/erasure_code.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SHARES_MAX = 256, TABLE_SIZE = 32, RUNS = 64 };

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int make_pieces(int count, size_t size, uint8_t *pieces[])
{
    for (int i = 0; i < count; i++) {
        if (posix_memalign((void **)&pieces[i], 4096, size) != 0)
            return -1;
        memset(pieces[i], i + 1, size);
    }
    return 0;
}

static double rate(int required, int parities, int size, double seconds, uint8_t *pieces[])
{
    static uint8_t matrix[SHARES_MAX * SHARES_MAX], tables[SHARES_MAX * SHARES_MAX * TABLE_SIZE];
    double began = now(), took;
    uint64_t bytes = 0;

    gf_gen_cauchy1_matrix(matrix, required + parities, required);
    ec_init_tables(required, parities, matrix + (size_t)required * (size_t)required, tables);
    do {
        for (int i = 0; i < RUNS; i++)
            ec_encode_data(size, required, parities, tables, pieces, pieces + required);
        bytes += (uint64_t)RUNS * (uint64_t)required * (uint64_t)size;
        took = now() - began;
    } while (took < seconds);
    return (double)bytes / took;
}

int main(int count, char *words[])
{
    uint8_t *pieces[SHARES_MAX];
    int required = count == 5 ? atoi(words[1]) : 0, parities = count == 5 ? atoi(words[2]) : 0;
    int size = count == 5 ? atoi(words[3]) : 0;

    if (required < 1 || parities < 1 || size < 1 || required + parities > SHARES_MAX) {
        fputs("usage: isal K PARITIES SIZE SECONDS\n", stderr);
        return EXIT_FAILURE;
    }
    if (make_pieces(required + parities, (size_t)size, pieces) < 0)
        return EXIT_FAILURE;
    printf("%.0f\n", rate(required, parities, size, atof(words[4]), pieces));
    return EXIT_SUCCESS;
}
