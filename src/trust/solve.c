/* SPDX-License-Identifier: MIT */
#include "trust/solve.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "share/stripe.h"
#include "trust/quorum.h"

#include <limits.h>
#include <string.h>

enum {
    /* An error is an answer, too, but not after minutes. */
    TIME_MAX = CLOCK_SECOND,
    TRIES_MAX = 4096,
};

bool next_combination(size_t chosen[], size_t k, size_t count)
{
    for (size_t i = k; i-- > 0;) {
        if (chosen[i] < count - k + i) {
            chosen[i]++;
            for (size_t j = i + 1; j < k; j++)
                chosen[j] = chosen[j - 1] + 1;
            return true;
        }
    }
    return false;
}

void random_combination(size_t chosen[], size_t k, size_t count, unsigned *seed)
{
    size_t taken = 0;

    for (size_t i = 0; i < count && taken < k; i++) {
        if ((size_t)rand_r(seed) % (count - i) < k - taken)
            chosen[taken++] = i;
    }
}

uint64_t count_combinations(size_t k, size_t count, uint64_t limit)
{
    uint64_t sets = 1;

    if (k > count - k)
        k = count - k;
    for (size_t i = 1; i <= k && sets <= limit; i++)
        sets = sets * (count - k + i) / i;
    return sets;
}

void trials_begin(struct trials *ret, size_t k, size_t count, uint64_t seed,
                  const atomic_bool *stop)
{
    *ret = (struct trials){
        .k = k,
        .count = count,
        .seed = (unsigned)seed,
        .all = count_combinations(k, count, TRIES_MAX) <= TRIES_MAX,
        .end = clock_of_thread() + TIME_MAX,
        .stop = stop,
    };
}

int trials_next(struct trials *trials)
{
    if (trials->stop && atomic_load(trials->stop))
        return -ECANCELED;
    if (clock_of_thread() >= trials->end)
        return -ETIMEDOUT;
    if (trials->done++ == 0) {
        for (size_t i = 0; i < trials->k; i++)
            trials->chosen[i] = i;
        return 0;
    }
    if (trials->done > TRIES_MAX)
        return -EBADMSG;
    if (trials->all)
        return next_combination(trials->chosen, trials->k, trials->count) ? 0 : -EBADMSG;
    random_combination(trials->chosen, trials->k, trials->count, &trials->seed);
    return 0;
}

size_t solve_enough(unsigned required, size_t count)
{
    return (count + required + 1) / 2;
}

/* A stripe being solved. */
struct solving {
    const struct share_layout *layout;
    uint64_t stripe;
    const uint8_t *indices;
    const uint8_t *const *blocks;
    size_t count, size; /* of the blocks, and bytes in each */
    int withdrawn;      /* copies that count as if they contradicted */
    const atomic_bool *stop;
    unsigned share_count; /* different shares that the blocks are of */
    uint8_t *made[256];   /* by share: what a trial makes of those, and of the pieces 0..k-1 */
    uint8_t *targets[256];
    struct encoder *encoder; /* to the targets */
    uint8_t *pieces[256];    /* as far as they are solved */
    bool *solved;            /* each byte */
    size_t left;             /* bytes that are not */
    int spare;               /* as solve_stripe says it */
    uint8_t *room;
};

static void forget(struct solving *solving)
{
    if (solving->encoder)
        encoder_free(solving->encoder);
    free(solving->solved);
    free(solving->room);
}

static int prepare(struct solving *solving)
{
    unsigned k = solving->layout->required, count = 0;
    bool seen[256] = {false};
    uint8_t shares[256];

    for (size_t i = 0; i < solving->count; i++)
        solving->share_count += is_first_of(seen, solving->indices[i]);
    if (solving->share_count < k)
        return -ENODATA;
    for (unsigned index = 0; index < 256; index++) {
        if (seen[index] || index < k)
            shares[count++] = (uint8_t)index;
    }
    solving->solved = calloc(solving->size, sizeof(bool));
    solving->room = malloc((count + k) * solving->size);
    if (!solving->solved || !solving->room)
        return -ENOMEM;
    for (unsigned i = 0; i < count; i++)
        solving->targets[i] = solving->made[shares[i]] = solving->room + i * solving->size;
    for (unsigned i = 0; i < k; i++)
        solving->pieces[i] = solving->room + (count + i) * solving->size;
    return encoder_new(solving->layout, count, shares, &solving->encoder);
}

/* Returns true if an earlier block is of the same share and has the same value at a byte. */
static bool is_counted(const struct solving *solving, size_t block, size_t at)
{
    for (size_t i = 0; i < block; i++) {
        if (solving->indices[i] == solving->indices[block] &&
            solving->blocks[i][at] == solving->blocks[block][at])
            return true;
    }
    return false;
}

/* Returns true if what the trial makes of a byte is the solution there. */
static bool is_solution(struct solving *solving, size_t at)
{
    int values = 0, wrong = 0;

    for (size_t i = 0; i < solving->count; i++) {
        if (solving->share_count < solving->count && is_counted(solving, i, at))
            continue;
        values++;
        wrong += solving->made[solving->indices[i]][at] != solving->blocks[i][at];
    }
    int spare = values - solving->layout->required - 2 * wrong - solving->withdrawn;
    if (spare < 0)
        return false;
    if (wrong > 0 && spare < solving->spare)
        solving->spare = spare;
    return true;
}

/* Takes over what a trial solves. */
static void take_solved(struct solving *solving)
{
    for (size_t at = 0; at < solving->size; at++) {
        if (solving->solved[at] || !is_solution(solving, at))
            continue;
        for (unsigned i = 0; i < solving->layout->required; i++)
            solving->pieces[i][at] = solving->made[i][at];
        solving->solved[at] = true;
        solving->left--;
    }
}

/* Decodes k BLOCKS, of the shares INDICES, to DATA, and makes all shares of that. */
static int make(struct solving *solving, const uint8_t indices[], const uint8_t *const blocks[],
                uint8_t *data)
{
    int r = stripe_decode(solving->layout, solving->stripe, indices, blocks, data);

    return r < 0 ? r : encoder_run(solving->encoder, solving->stripe, data, NULL, solving->targets);
}

/* Tries sets of k blocks until each byte is solved; then makes the stripe of the solved pieces, and
 * marks the blocks that differ from it. */
static int search(struct solving *solving, uint8_t *data, bool wrong[])
{
    unsigned k = solving->layout->required;
    const uint8_t *blocks[256];
    uint8_t indices[256];
    struct trials trials;

    trials_begin(&trials, k, solving->count, solving->stripe, solving->stop);
    while (solving->left > 0) {
        int r = trials_next(&trials);
        if (r < 0)
            return r;
        for (unsigned i = 0; i < k; i++) {
            indices[i] = solving->indices[trials.chosen[i]];
            blocks[i] = solving->blocks[trials.chosen[i]];
        }
        r = make(solving, indices, blocks, data);
        if (r < 0 && r != -EINVAL) /* -EINVAL: two blocks are of one share */
            return r;
        if (r == 0)
            take_solved(solving);
    }
    for (unsigned i = 0; i < k; i++)
        indices[i] = (uint8_t)i;
    int r = make(solving, indices, (const uint8_t *const *)solving->pieces, data);
    for (size_t i = 0; r == 0 && i < solving->count; i++)
        wrong[i] =
            memcmp(solving->made[solving->indices[i]], solving->blocks[i], solving->size) != 0;
    return r;
}

int solve_stripe(const struct share_layout *layout, uint64_t stripe, const uint8_t indices[],
                 const uint8_t *const blocks[], size_t count, unsigned withdrawn,
                 const atomic_bool *stop, uint8_t *data, bool wrong[], int *ret_spare)
{
    CLEANUP(forget)
    struct solving solving = {
        .layout = layout,
        .stripe = stripe,
        .indices = indices,
        .blocks = blocks,
        .count = count,
        .withdrawn = (int)withdrawn,
        .stop = stop,
        .size = layout_block_size(layout, stripe),
        .left = layout_block_size(layout, stripe),
        .spare = INT_MAX,
    };

    int r = prepare(&solving);
    if (r == 0)
        r = search(&solving, data, wrong);
    *ret_spare = solving.spare;
    return r;
}
