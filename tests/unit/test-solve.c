/* SPDX-License-Identifier: MIT */
/* Rule 6 of docs/design.md, against a slow reference that tries every set of k at every byte. */
#include "support.h"

#include "share/stripe.h"
#include "trust/solve.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

enum {
    K_MAX = 6,
    COPIES_MAX = 9,
    SHARES = 12,
    BLOCK_MAX = 8,
};

/* One stripe, its true blocks of all shares, and copies of some that may be wrong. */
struct scene {
    struct share_layout layout;
    unsigned k;
    size_t size; /* of a block */
    uint8_t source[K_MAX * BLOCK_MAX];
    uint8_t truth[SHARES][BLOCK_MAX];
    size_t count;
    uint8_t indices[COPIES_MAX];
    uint8_t *blocks[COPIES_MAX];
    unsigned withdrawn; /* copies that were there before */
};

static void encode(struct scene *scene)
{
    uint8_t *targets[SHARES], indices[SHARES];
    cleanup_encoder struct encoder *encoder = NULL;

    for (unsigned i = 0; i < SHARES; i++) {
        indices[i] = (uint8_t)i;
        targets[i] = scene->truth[i];
    }
    assert_int_equal(encoder_new(&scene->layout, SHARES, indices, &encoder), 0);
    assert_int_equal(encoder_run(encoder, 0, scene->source, NULL, targets), 0);
}

static void init(struct scene *scene, enum share_format format, unsigned k, size_t size)
{
    *scene = (struct scene){.k = k};
    assert_int_equal(layout_new(format, k, SHARES, BLOCK_SIZE_DEFAULT, size, &scene->layout), 0);
    scene->size = layout_block_size(&scene->layout, 0);
    assert_in_range(scene->size, 1, BLOCK_MAX);
    random_fill(scene->source, size);
    encode(scene);
}

static void clear(struct scene *scene)
{
    for (size_t i = 0; i < scene->count; i++)
        free(scene->blocks[i]);
}

static uint8_t *add(struct scene *scene, uint8_t index)
{
    scene->indices[scene->count] = index;
    scene->blocks[scene->count] = exact_copy(scene->truth[index], scene->size);
    return scene->blocks[scene->count++];
}

/* What solve_stripe makes of the copies. */
struct answer {
    int r;
    uint8_t data[K_MAX * BLOCK_MAX];
    bool wrong[COPIES_MAX];
    int spare;
};

static struct answer solve(const struct scene *scene)
{
    struct answer answer = {.spare = 0};
    uint8_t *data = exact_bytes(scene->k * scene->size);

    answer.r =
        solve_stripe(&scene->layout, 0, scene->indices, (const uint8_t *const *)scene->blocks,
                     scene->count, scene->withdrawn, NULL, data, answer.wrong, &answer.spare);
    memcpy(answer.data, data, scene->k * scene->size);
    free(data);
    return answer;
}

/* SPARE: as solve_stripe says it. */
static void assert_solves(const struct scene *scene, int spare)
{
    struct answer answer = solve(scene);

    assert_int_equal(answer.r, 0);
    assert_memory_equal(answer.data, scene->source, scene->k * scene->size);
    assert_int_equal(answer.spare, spare);
    for (size_t i = 0; i < scene->count; i++)
        assert_int_equal(answer.wrong[i], memcmp(scene->blocks[i], scene->truth[scene->indices[i]],
                                                 scene->size) != 0);
}

static void assert_unsolved(const struct scene *scene)
{
    assert_int_equal(solve(scene).r, -EBADMSG);
}

/* The reference */

static unsigned count_values(const struct scene *scene, size_t at)
{
    unsigned values = 0;

    for (size_t i = 0; i < scene->count; i++) {
        bool counted = false;
        for (size_t j = 0; j < i; j++)
            counted |= scene->indices[i] == scene->indices[j] &&
                       scene->blocks[i][at] == scene->blocks[j][at];
        values += !counted;
    }
    return values;
}

/* The codeword, at all bytes, of k copies; false where two are of one share. */
static bool make_codeword(const struct scene *scene, const uint8_t chosen[],
                          uint8_t ret[SHARES][BLOCK_MAX])
{
    const uint8_t *blocks[K_MAX];
    struct scene made = *scene;
    uint8_t indices[K_MAX];

    for (unsigned i = 0; i < scene->k; i++) {
        indices[i] = scene->indices[chosen[i]];
        blocks[i] = scene->blocks[chosen[i]];
    }
    if (stripe_decode(&scene->layout, 0, indices, blocks, made.source) < 0)
        return false;
    encode(&made); /* fills the end up with zeros */
    memcpy(ret, made.truth, sizeof made.truth);
    return true;
}

/* Whether at most half of the values above k at a byte are not the codeword's. */
static bool is_near(const struct scene *scene, uint8_t codeword[SHARES][BLOCK_MAX], size_t at)
{
    unsigned values = count_values(scene, at), right = 0;

    for (unsigned share = 0; share < SHARES; share++) {
        bool found = false;
        for (size_t i = 0; i < scene->count; i++)
            found |= scene->indices[i] == share && scene->blocks[i][at] == codeword[share][at];
        right += found;
    }
    return values - right <= (values - scene->k) / 2;
}

/* Solves a byte to RET; asserts that there are not two solutions. */
static bool solve_slowly(const struct scene *scene, size_t at, uint8_t ret[SHARES])
{
    uint8_t codeword[SHARES][BLOCK_MAX], chosen[COPIES_MAX];
    bool found = false;

    first_subset(scene->k, chosen);
    do {
        if (!make_codeword(scene, chosen, codeword) || !is_near(scene, codeword, at))
            continue;
        for (unsigned share = 0; share < SHARES; share++) {
            assert_true(!found || ret[share] == codeword[share][at]);
            ret[share] = codeword[share][at];
        }
        found = true;
    } while (next_subset(scene->k, (unsigned)scene->count, chosen));
    return found;
}

static void assert_as_reference(const struct scene *scene)
{
    struct answer answer = solve(scene);
    struct scene made = *scene;
    uint8_t solution[SHARES];
    int expected = 0;

    if (answer.r == 0) {
        memcpy(made.source, answer.data, sizeof made.source);
        encode(&made);
    }
    for (size_t at = 0; at < scene->size; at++) {
        if (!solve_slowly(scene, at, solution)) {
            expected = -EBADMSG;
            break;
        }
        for (unsigned share = 0; answer.r == 0 && share < SHARES; share++)
            assert_int_equal(made.truth[share][at], solution[share]);
    }
    assert_int_equal(answer.r, expected);
    for (size_t i = 0; answer.r == 0 && i < scene->count; i++)
        assert_int_equal(answer.wrong[i],
                         memcmp(scene->blocks[i], made.truth[scene->indices[i]], scene->size) != 0);
}

/* The tests */

static enum share_format any_format(void)
{
    return random_below(2) ? SHARE_CLASSIC : SHARE_FEC;
}

/* A scene of COUNT copies of different shares, all of them right. */
static void init_different(struct scene *scene, unsigned k, unsigned count)
{
    uint8_t indices[SHARES];

    init(scene, any_format(), k, random_between(1, (uint64_t)k * BLOCK_MAX));
    random_indices(count, SHARES, indices);
    for (unsigned i = 0; i < count; i++)
        add(scene, indices[i]);
}

/* Makes bytes wrong at one place in COUNT copies. */
static void spoil(struct scene *scene, size_t at, unsigned count)
{
    uint8_t places[COPIES_MAX];

    random_indices(count, (unsigned)scene->count, places);
    for (unsigned i = 0; i < count; i++)
        scene->blocks[places[i]][at] ^= (uint8_t)random_between(1, 255);
}

static void test_right_copies(void **state)
{
    struct scene scene;

    for (unsigned k = 1; k <= K_MAX; k++) {
        for (unsigned count = k; count <= COPIES_MAX; count++) {
            init_different(&scene, k, count);
            assert_solves(&scene, INT_MAX);
            clear(&scene);
        }
    }
}

/* As many at each byte as may be, each byte in copies of its own. */
static void test_half_of_the_further_copies_may_be_wrong(void **state)
{
    struct scene scene;

    for (unsigned k = 1; k <= K_MAX; k++) {
        for (unsigned count = k; count <= COPIES_MAX; count++) {
            init_different(&scene, k, count);
            for (size_t at = 0; at < scene.size; at++)
                spoil(&scene, at, (count - k) / 2);
            assert_solves(&scene, count - k > 1 ? (int)(count - k) % 2 : INT_MAX);
            clear(&scene);
        }
    }
}

static void test_one_further_copy_tells_that_something_is_wrong(void **state)
{
    struct scene scene;

    for (unsigned k = 1; k <= K_MAX; k++) {
        init_different(&scene, k, k + 1);
        spoil(&scene, random_below(scene.size), 1);
        assert_unsolved(&scene);
        clear(&scene);
    }
}

static void test_too_few_shares(void **state)
{
    struct scene scene;

    init(&scene, SHARE_FEC, 3, 20);
    add(&scene, 4);
    add(&scene, 4);
    add(&scene, 7);
    assert_int_equal(solve(&scene).r, -ENODATA);
    clear(&scene);
}

static void test_equal_copies_of_a_share_count_once(void **state)
{
    struct scene scene;

    /* Five copies of one wrong share do not outvote three others. */
    init(&scene, SHARE_CLASSIC, 1, 4);
    for (unsigned i = 0; i < 5; i++)
        memset(add(&scene, 5), 0xaa, scene.size);
    memset(scene.truth[5], 0x55, scene.size);
    for (uint8_t i = 0; i < 3; i++)
        memset(add(&scene, i), 0x55, scene.size);
    struct answer answer = solve(&scene);
    assert_int_equal(answer.r, 0);
    assert_int_equal(answer.spare, 1); /* four values, k = 1, one of them wrong */
    assert_memory_equal(answer.data, "\x55\x55\x55\x55", 4);
    assert_true(answer.wrong[0] && answer.wrong[4] && !answer.wrong[5]);
    clear(&scene);
}

static void test_different_copies_of_a_share_are_values_of_their_own(void **state)
{
    struct scene scene;

    init(&scene, SHARE_FEC, 2, 10);
    add(&scene, 0);
    add(&scene, 1)[0] ^= 1;
    add(&scene, 1);
    assert_unsolved(&scene); /* m = 3: no value may be wrong */
    add(&scene, 2);
    assert_solves(&scene, 0);
    clear(&scene);
}

static void test_any_copies_as_the_reference(void **state)
{
    struct scene scene;

    for (unsigned run = 0; run < 600; run++) {
        unsigned k = 1 + run % K_MAX, shares = (unsigned)random_between(k, COPIES_MAX);
        init_different(&scene, k, shares);
        while (scene.count < COPIES_MAX && random_below(2))
            add(&scene, scene.indices[random_below(scene.count)]);
        for (size_t at = 0; at < scene.size; at++)
            spoil(&scene, at, (unsigned)random_below((scene.count - k) / 2 + 2));
        assert_as_reference(&scene);
        clear(&scene);
    }
}

/* Wrong bytes that agree with each other: those of another source. */
static void test_mixtures_of_two_sources_as_the_reference(void **state)
{
    struct scene scene, other;

    for (unsigned run = 0; run < 300; run++) {
        unsigned k = 1 + run % K_MAX;
        init_different(&scene, k, (unsigned)random_between(k, COPIES_MAX));
        other = scene;
        random_fill(other.source, layout_stripe_size(&scene.layout, 0));
        encode(&other);
        for (size_t i = 0; i < scene.count; i++) {
            for (size_t at = 0; at < scene.size; at++) {
                if (random_below(2))
                    scene.blocks[i][at] = other.truth[scene.indices[i]][at];
            }
        }
        assert_as_reference(&scene);
        clear(&scene);
    }
}

static void test_enough_shares_that_agree_leave_no_other_solution(void **state)
{
    for (unsigned k = 1; k <= K_MAX; k++) {
        for (size_t count = k; count < 40; count++) {
            size_t enough = solve_enough(k, count);
            /* What agrees with k of them is wrong at the others of them: too many. */
            assert_true(count - enough <= (count - k) / 2);
            assert_true(enough - 1 < count - (count - k) / 2);
        }
    }
}

static void test_combinations(void **state)
{
    for (size_t count = 1; count <= 9; count++) {
        for (size_t k = 1; k <= count; k++) {
            size_t chosen[9], sets = 1;
            for (size_t i = 0; i < k; i++)
                chosen[i] = i;
            for (; next_combination(chosen, k, count); sets++) {
                for (size_t i = 1; i < k; i++)
                    assert_true(chosen[i - 1] < chosen[i]);
                assert_true(chosen[k - 1] < count);
            }
            assert_int_equal(sets, count_combinations(k, count, 1000));
        }
    }
    assert_true(count_combinations(128, 256, 4096) > 4096);
    assert_int_equal(count_combinations(255, 256, 4096), 256);
}

static void test_random_combinations_reach_all(void **state)
{
    unsigned seed = (unsigned)random_next(), seen[10] = {0};
    size_t chosen[3];

    for (unsigned run = 0; run < 1000; run++) {
        random_combination(chosen, 3, 5, &seed);
        assert_true(chosen[0] < chosen[1] && chosen[1] < chosen[2] && chosen[2] < 5);
        /* The two that are left out name the set. */
        unsigned left = 31U & ~(1U << chosen[0] | 1U << chosen[1] | 1U << chosen[2]);
        unsigned high = left >= 16 ? 4 : left >= 8 ? 3 : left >= 4 ? 2 : 1;
        unsigned low = (unsigned)__builtin_ctz(left);
        seen[high * (high - 1) / 2 + low]++;
    }
    for (size_t i = 0; i < COUNT_OF(seen); i++)
        assert_in_range(seen[i], 50, 200);
}

static void test_copies_that_were_withdrawn_count_as_contradictions(void **state)
{
    struct scene scene;

    init(&scene, SHARE_CLASSIC, 2, 12);
    for (uint8_t i = 0; i < 4; i++)
        add(&scene, i);
    scene.withdrawn = 2;
    assert_solves(&scene, INT_MAX);
    scene.withdrawn = 3;
    assert_unsolved(&scene);
    scene.withdrawn = 1;
    scene.blocks[3][0] ^= 1;
    assert_unsolved(&scene);
    scene.withdrawn = 0;
    assert_solves(&scene, 0);
    clear(&scene);
}

/* 200 blocks of noise have more sets of 100 than can be tried. */
static void test_what_takes_too_long_is_no_contradiction(void **state)
{
    enum { K = 100, COUNT = 200 };
    struct share_layout layout;
    uint8_t indices[COUNT], *blocks[COUNT];
    bool wrong[COUNT];
    int spare;

    assert_int_equal(layout_new(SHARE_FEC, K, COUNT, BLOCK_SIZE_DEFAULT, 1 << 30, &layout), 0);
    size_t size = layout_block_size(&layout, 0);
    uint8_t *data = exact_bytes(K * size);
    for (unsigned i = 0; i < COUNT; i++) {
        indices[i] = (uint8_t)i;
        blocks[i] = exact_bytes(size);
        random_fill(blocks[i], size);
    }
    assert_int_equal(solve_stripe(&layout, 0, indices, (const uint8_t *const *)blocks, COUNT, 0,
                                  NULL, data, wrong, &spare),
                     -ETIMEDOUT);
    atomic_bool stop = true;
    assert_int_equal(solve_stripe(&layout, 0, indices, (const uint8_t *const *)blocks, COUNT, 0,
                                  &stop, data, wrong, &spare),
                     -ECANCELED);
    for (unsigned i = 0; i < COUNT; i++)
        free(blocks[i]);
    free(data);
}

static volatile sig_atomic_t waited;

/* As if others had the processor. */
static void wait_long(int number)
{
    const struct timespec time = {.tv_sec = 1, .tv_nsec = 500000000};

    if (!waited && nanosleep(&time, NULL) == 0)
        waited = true;
}

/* The search is long: the sets that are tried first all have a wrong block. */
static void test_a_loaded_machine_changes_no_result(void **state)
{
    enum { K = 3, COUNT = 12, WRONG = 4, SIZE = 3 << 14 };
    const struct itimerval soon = {.it_value.tv_usec = 1000}, never = {.it_value.tv_usec = 0};
    struct share_layout layout;
    uint8_t indices[COUNT], *blocks[COUNT];
    cleanup_encoder struct encoder *encoder = NULL;
    bool wrong[COUNT];
    int spare;

    assert_int_equal(layout_new(SHARE_CLASSIC, K, COUNT, BLOCK_SIZE_DEFAULT, SIZE, &layout), 0);
    size_t size = layout_block_size(&layout, 0);
    uint8_t *source = exact_bytes(SIZE), *data = exact_bytes(K * size);
    random_fill(source, SIZE);
    for (unsigned i = 0; i < COUNT; i++) {
        indices[i] = (uint8_t)i;
        blocks[i] = exact_bytes(size);
    }
    assert_int_equal(encoder_new(&layout, COUNT, indices, &encoder), 0);
    assert_int_equal(encoder_run(encoder, 0, source, NULL, blocks), 0);
    for (unsigned i = 0; i < WRONG; i++)
        random_fill(blocks[i], size);
    waited = false;
    signal(SIGPROF, wait_long);
    assert_int_equal(setitimer(ITIMER_PROF, &soon, NULL), 0);
    /* The timer looks at the clock but every few milliseconds: a search may be over by then. */
    for (unsigned tries = 0; tries < 1000 && !waited; tries++)
        assert_int_equal(solve_stripe(&layout, 0, indices, (const uint8_t *const *)blocks, COUNT, 0,
                                      NULL, data, wrong, &spare),
                         0);
    assert_int_equal(setitimer(ITIMER_PROF, &never, NULL), 0);
    assert_true(waited);
    assert_memory_equal(data, source, SIZE);
    for (unsigned i = 0; i < COUNT; i++)
        free(blocks[i]);
    free(source);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_copies),
        cmocka_unit_test(test_half_of_the_further_copies_may_be_wrong),
        cmocka_unit_test(test_one_further_copy_tells_that_something_is_wrong),
        cmocka_unit_test(test_too_few_shares),
        cmocka_unit_test(test_equal_copies_of_a_share_count_once),
        cmocka_unit_test(test_different_copies_of_a_share_are_values_of_their_own),
        cmocka_unit_test(test_any_copies_as_the_reference),
        cmocka_unit_test(test_mixtures_of_two_sources_as_the_reference),
        cmocka_unit_test(test_enough_shares_that_agree_leave_no_other_solution),
        cmocka_unit_test(test_combinations),
        cmocka_unit_test(test_random_combinations_reach_all),
        cmocka_unit_test(test_copies_that_were_withdrawn_count_as_contradictions),
        cmocka_unit_test(test_what_takes_too_long_is_no_contradiction),
        cmocka_unit_test(test_a_loaded_machine_changes_no_result),
    };

    return cmocka_run_group_tests(tests, support_set_up, NULL);
}
