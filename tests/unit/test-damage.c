/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "restore/damage.h"

#include <stdlib.h>
#include <string.h>

enum { STRIPES = 300 };

/* The same as a bit for each stripe. */
struct model {
    bool bad[STRIPES];
};

static void assert_shape(const struct damage *damage)
{
    assert_true(damage->count <= damage->room);
    for (size_t i = 0; i < damage->count; i++) {
        assert_true(damage->ranges[i].first <= damage->ranges[i].last);
        assert_true(i == 0 || damage->ranges[i - 1].last + 1 < damage->ranges[i].first);
    }
}

static void assert_as_model(const struct damage *damage, const struct model *model)
{
    uint64_t size = 0;

    assert_shape(damage);
    for (uint64_t stripe = 0; stripe < STRIPES; stripe++) {
        assert_int_equal(damage_has(damage, stripe), model->bad[stripe]);
        size += model->bad[stripe];
    }
    assert_int_equal(damage_size(damage), size);
}

static void add(struct damage *damage, struct model *model, uint64_t stripe)
{
    damage_add(damage, stripe);
    model->bad[stripe] = true;
}

static void test_nothing(void **state)
{
    struct damage damage = {0};

    assert_false(damage_has(&damage, 0));
    assert_false(damage_has(&damage, UINT64_MAX));
    assert_int_equal(damage_size(&damage), 0);
    damage_clear(&damage);
    damage_clear(&damage);
}

static void test_in_order(void **state)
{
    struct damage damage = {0};
    struct model model = {0};

    for (uint64_t stripe = 10; stripe < 20; stripe++)
        add(&damage, &model, stripe);
    assert_as_model(&damage, &model);
    assert_int_equal(damage.count, 1);
    damage_clear(&damage);
    assert_int_equal(damage.count, 0);
    assert_false(damage_has(&damage, 10));
}

static void test_backwards(void **state)
{
    struct damage damage = {0};
    struct model model = {0};

    for (uint64_t stripe = 20; stripe-- > 0;)
        add(&damage, &model, stripe);
    assert_as_model(&damage, &model);
    assert_int_equal(damage.count, 1);
    damage_clear(&damage);
}

/* Every second one, and then those between them. */
static void test_gaps_are_filled(void **state)
{
    struct damage damage = {0};
    struct model model = {0};

    for (uint64_t stripe = 0; stripe < STRIPES; stripe += 2)
        add(&damage, &model, stripe);
    assert_as_model(&damage, &model);
    assert_int_equal(damage.count, STRIPES / 2);
    for (uint64_t stripe = 1; stripe < STRIPES; stripe += 2)
        add(&damage, &model, stripe);
    assert_as_model(&damage, &model);
    assert_int_equal(damage.count, 1);
    damage_clear(&damage);
}

static void test_twice(void **state)
{
    struct damage damage = {0};
    struct model model = {0};

    for (unsigned round = 0; round < 2; round++) {
        add(&damage, &model, 5);
        add(&damage, &model, 7);
        assert_as_model(&damage, &model);
        assert_int_equal(damage.count, 2);
    }
    damage_clear(&damage);
}

static void test_first_and_last_stripe(void **state)
{
    struct damage damage = {0};

    damage_add(&damage, UINT64_MAX);
    damage_add(&damage, 0);
    assert_true(damage_has(&damage, 0));
    assert_true(damage_has(&damage, UINT64_MAX));
    assert_false(damage_has(&damage, 1));
    assert_false(damage_has(&damage, UINT64_MAX - 1));
    damage_add(&damage, UINT64_MAX - 1);
    damage_add(&damage, 1);
    assert_shape(&damage);
    assert_int_equal(damage.count, 2);
    assert_int_equal(damage_size(&damage), 4);
    damage_clear(&damage);
}

static void test_random(void **state)
{
    for (unsigned round = 0; round < 200; round++) {
        struct damage damage = {0};
        struct model model = {0};
        uint64_t range = random_between(1, STRIPES), count = random_below(2 * range);
        for (uint64_t i = 0; i < count; i++) {
            add(&damage, &model, random_below(range));
            if (random_below(8) == 0)
                assert_as_model(&damage, &model);
        }
        assert_as_model(&damage, &model);
        damage_clear(&damage);
    }
}

/* Memory grows by ranges, not by stripes, and is given back. */
static void test_memory(void **state)
{
    struct damage damage = {0};
    size_t before = bytes_in_use();

    for (uint64_t stripe = 0; stripe < 100000; stripe++)
        damage_add(&damage, stripe);
    assert_true(bytes_in_use() <= before + 1024);
    for (uint64_t stripe = 0; stripe < 200000; stripe += 2)
        damage_add(&damage, 200000 + stripe);
    assert_int_equal(damage_size(&damage), 200000);
    damage_clear(&damage);
    assert_true(bytes_in_use() <= before + 1024);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),   cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_backwards), cmocka_unit_test(test_gaps_are_filled),
        cmocka_unit_test(test_twice),     cmocka_unit_test(test_first_and_last_stripe),
        cmocka_unit_test(test_random),    cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests_name("damage", tests, support_set_up, NULL);
}
