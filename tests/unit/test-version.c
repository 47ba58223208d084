/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "choice/version.h"

#include <errno.h>
#include <string.h>

enum {
    COPIES_MAX = 16,
    K = 3,
    SIZE = 10000,
    TIME = 1000,
};

/* A header of K = 3, B = 64 KiB, S = 10000. */
static struct share_header header_of(uint8_t index, int64_t mtime_ns)
{
    struct share_header header = {.index = index, .mtime_ns = mtime_ns};

    assert_int_equal(layout_new(SHARE_CHECKED, K, 0, BLOCK_SIZE_DEFAULT, SIZE, &header.layout), 0);
    return header;
}

static struct copy_facts copy_with(struct share_header header)
{
    return (struct copy_facts){
        .has_header = true, .header = header, .size = layout_share_size(&header.layout)};
}

static struct copy_facts copy_of(uint8_t index, int64_t mtime_ns)
{
    return copy_with(header_of(index, mtime_ns));
}

/* A copy whose header is lost, and that has the size that shares of HEADER have. */
static struct copy_facts nameless_as(struct share_header header)
{
    return (struct copy_facts){.size = layout_share_size(&header.layout)};
}

static struct share_header resized(struct share_header header, uint64_t size)
{
    header.layout.source_size = size;
    return header;
}

static void test_same_version(void **state)
{
    struct share_header header = header_of(4, TIME), other = header_of(9, TIME);

    assert_true(version_is_same(&header, &other));
    other.layout.header_size += 100; /* extensions are a share's own affair */
    assert_true(version_is_same(&header, &other));
}

static void test_other_versions(void **state)
{
    struct share_header header = header_of(4, TIME), others[6];

    for (size_t i = 0; i < COUNT_OF(others); i++)
        others[i] = header;
    others[0].layout.required++;
    others[1].layout.block_size *= 2;
    others[2].layout.source_size++;
    others[3].mtime_ns++;
    others[4].layout.format = SHARE_FEC;
    others[5].total = 20;
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        assert_false(version_is_same(&header, &others[i]));
        assert_false(version_is_same(&others[i], &header));
    }
}

static void test_no_header(void **state)
{
    struct copy_facts copies[2] = {{.size = 100}, {.size = 0}};
    struct version version = {.members = 77};
    enum copy_role roles[2];

    assert_int_equal(version_choose(copies, 2, 0, &version, roles), -ENODATA);
    assert_int_equal(version_choose(copies, 0, 0, &version, roles), -ENODATA);
    assert_int_equal(version.members, 77);
}

/* Chooses, and checks whose version it is and of what it is made up. */
static struct version choose(const struct copy_facts copies[], size_t count, size_t expected,
                             unsigned members, unsigned nameless, enum copy_role roles[])
{
    struct version version;

    assert_int_equal(version_choose(copies, count, 0, &version, roles), 0);
    assert_true(version_is_same(&version.header, &copies[expected].header));
    assert_int_equal(version.members, members);
    assert_int_equal(version.nameless, nameless);
    return version;
}

static void test_one_version(void **state)
{
    struct copy_facts copies[] = {copy_of(0, TIME), copy_of(4, TIME), copy_of(255, TIME)};
    enum copy_role roles[COPIES_MAX];

    assert_false(choose(copies, 3, 0, 3, 0, roles).tied);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(roles[i], COPY_MEMBER);
}

static void test_an_index_counts_once(void **state)
{
    struct copy_facts copies[] = {copy_of(4, TIME), copy_of(4, TIME), copy_of(5, TIME)};
    enum copy_role roles[COPIES_MAX];

    choose(copies, 3, 0, 2, 0, roles);
    assert_int_equal(roles[1], COPY_MEMBER);
}

static void test_newest_complete_version(void **state)
{
    struct copy_facts copies[] = {
        copy_of(0, TIME),     copy_of(1, TIME),     copy_of(2, TIME),     copy_of(3, TIME + 1),
        copy_of(4, TIME + 1), copy_of(5, TIME + 1), copy_of(6, TIME + 2), copy_of(7, TIME + 2),
    };
    enum copy_role roles[COPIES_MAX];

    choose(copies, 8, 3, 3, 0, roles);
    assert_int_equal(roles[0], COPY_HELPER);
    assert_int_equal(roles[5], COPY_MEMBER);
    assert_int_equal(roles[7], COPY_HELPER);
}

static void test_newest_where_none_is_complete(void **state)
{
    struct copy_facts copies[] = {copy_of(0, TIME), copy_of(1, TIME), copy_of(2, TIME + 1)};
    enum copy_role roles[COPIES_MAX];

    choose(copies, 3, 2, 1, 0, roles);
    assert_int_equal(roles[0], COPY_HELPER);
}

/* A copy of a copy does not make a version complete. */
static void test_duplicates_do_not_complete(void **state)
{
    struct copy_facts copies[] = {copy_of(0, TIME),     copy_of(1, TIME),     copy_of(2, TIME),
                                  copy_of(7, TIME + 1), copy_of(7, TIME + 1), copy_of(7, TIME + 1)};
    enum copy_role roles[COPIES_MAX];

    choose(copies, 6, 0, 3, 0, roles);
}

/* One store that lies about the time does not win, however far it goes. */
static void test_lonely_future(void **state)
{
    static const int64_t futures[] = {TIME + 1, INT64_MAX};
    enum copy_role roles[COPIES_MAX];

    for (size_t i = 0; i < COUNT_OF(futures); i++) {
        struct copy_facts copies[] = {copy_of(9, futures[i]), copy_of(0, TIME), copy_of(1, TIME),
                                      copy_of(2, TIME)};
        choose(copies, 4, 1, 3, 0, roles);
        assert_int_equal(roles[0], COPY_HELPER);
    }
}

/* One share of k = 1 is complete, but most say that it takes three. */
static void test_one_that_says_it_is_enough(void **state)
{
    enum copy_role roles[COPIES_MAX];
    struct copy_facts copies[5];

    for (uint8_t i = 0; i < 5; i++)
        copies[i] = copy_of(i, i == 0 ? INT64_MAX : TIME);
    copies[0].header.layout.required = 1;
    copies[0].size = layout_share_size(&copies[0].header.layout);
    choose(copies, 5, 1, 4, 0, roles);
    assert_int_equal(roles[0], COPY_USELESS);
    choose(copies, 3, 0, 1, 0, roles); /* it is better than one that is not complete at all */
}

/* Of a smaller k than before, and as many shares of it as it took before: it is the newest. */
static void test_smaller_k(void **state)
{
    enum copy_role roles[COPIES_MAX];
    struct copy_facts copies[7];

    for (uint8_t i = 0; i < 7; i++) {
        copies[i] = copy_of(i, i < 3 ? TIME + 1 : TIME);
        copies[i].header.layout.required = i < 3 ? 2 : K;
        copies[i].size = layout_share_size(&copies[i].header.layout);
    }
    choose(copies, 7, 0, 3, 0, roles);
}

static void test_times_before_1970(void **state)
{
    struct copy_facts copies[] = {copy_of(0, INT64_MIN), copy_of(1, -5), copy_of(2, -6)};
    enum copy_role roles[COPIES_MAX];

    choose(copies, 3, 1, 1, 0, roles);
}

static void test_most_shares_among_equal_times(void **state)
{
    struct copy_facts copies[5];
    enum copy_role roles[COPIES_MAX];

    for (uint8_t i = 0; i < 5; i++)
        copies[i] = copy_with(i < 2 ? resized(header_of(i, TIME), SIZE + 1) : header_of(i, TIME));
    assert_false(choose(copies, 5, 2, 3, 0, roles).tied);
}

static void test_tie(void **state)
{
    struct copy_facts copies[4], more[5];
    enum copy_role roles[COPIES_MAX];

    for (uint8_t i = 0; i < 4; i++)
        more[i] = copies[i] =
            copy_with(i < 2 ? resized(header_of(i, TIME), SIZE + 1) : header_of(i, TIME));
    assert_true(choose(copies, 4, 0, 2, 0, roles).tied);
    more[4] = copy_of(9, TIME + 1);
    assert_false(choose(more, 5, 4, 1, 0, roles).tied);
}

/* k, B and S are of the version, so that the blocks of a helper are blocks of the same stripes. */
static void test_roles_of_others(void **state)
{
    struct share_header others[4];
    struct copy_facts copies[4 + K];
    enum copy_role roles[COPIES_MAX];

    for (uint8_t i = 0; i < 4; i++)
        others[i] = header_of((uint8_t)(10 + i), TIME - 1 - i);
    others[0].layout.required++;
    others[1].layout.block_size *= 2;
    others[2].layout.source_size *= 3;
    for (uint8_t i = 0; i < 4; i++)
        copies[i] = copy_with(others[i]);
    for (uint8_t i = 0; i < K; i++)
        copies[4 + i] = copy_of(i, TIME);
    choose(copies, 4 + K, 4, K, 0, roles);
    assert_int_equal(roles[0], COPY_USELESS);
    assert_int_equal(roles[1], COPY_USELESS);
    assert_int_equal(roles[2], COPY_HELPER);
    assert_int_equal(roles[3], COPY_HELPER);
}

static void test_nameless(void **state)
{
    struct copy_facts copies[] = {
        nameless_as(header_of(0, 0)), copy_of(1, TIME), copy_of(2, TIME), {.size = 7}};
    enum copy_role roles[COPIES_MAX];

    choose(copies, 4, 1, 2, 1, roles);
    assert_int_equal(roles[0], COPY_NAMELESS);
    assert_int_equal(roles[3], COPY_HELPER);
}

/* Its size is that of two versions: which it is of, nothing says. */
static void test_ambiguous_nameless(void **state)
{
    struct copy_facts copies[] = {nameless_as(header_of(0, 0)), copy_of(1, TIME), copy_of(2, TIME),
                                  copy_of(3, TIME + 1)};
    enum copy_role roles[COPIES_MAX];

    choose(copies, 4, 3, 1, 0, roles);
    assert_int_equal(roles[0], COPY_HELPER);
}

/* It completes the version that it can be of. */
static void test_nameless_completes(void **state)
{
    struct share_header newer = resized(header_of(1, TIME + 1), SIZE + 3);
    struct copy_facts copies[] = {copy_of(0, TIME),      copy_of(1, TIME), copy_of(2, TIME),
                                  nameless_as(newer),    copy_with(newer), copy_with(newer),
                                  copy_of(3, TIME - 100)};
    enum copy_role roles[COPIES_MAX];

    copies[5].header.index = 2;
    choose(copies, 7, 4, 2, 1, roles);
    assert_int_equal(roles[3], COPY_NAMELESS);
}

/* What a share's extensions add to its size says nothing of the sizes of others. */
static void test_nameless_beside_extensions(void **state)
{
    struct copy_facts copies[] = {copy_of(1, TIME), nameless_as(header_of(0, 0)), copy_of(2, TIME)};
    enum copy_role roles[COPIES_MAX];

    copies[0].header.layout.header_size += 1000;
    copies[0].size += 1000;
    choose(copies, 3, 0, 2, 1, roles);
    assert_int_equal(roles[1], COPY_NAMELESS);
}

static struct copy_facts unchecked_copy(enum share_format format, uint8_t index, uint64_t size)
{
    struct share_header header = {.index = index, .total = format == SHARE_FEC ? 20 : 0};

    assert_int_equal(layout_new(format, K, 20, 0, size, &header.layout), 0);
    return copy_with(header);
}

/* Without times and digests: the version that most are of, and the others are of no use. */
static void test_unchecked_formats(void **state)
{
    static const enum share_format formats[] = {SHARE_CLASSIC, SHARE_FEC};
    enum copy_role roles[COPIES_MAX];

    for (size_t f = 0; f < COUNT_OF(formats); f++) {
        struct copy_facts copies[9];
        for (uint8_t i = 0; i < 8; i++)
            copies[i] = unchecked_copy(formats[f], i, i % 8 < 3 ? SIZE : SIZE + 10);
        copies[8] = nameless_as(copies[3].header);
        assert_false(choose(copies, 9, 3, 5, 0, roles).tied);
        for (size_t i = 0; i < 9; i++)
            assert_int_equal(roles[i], i >= 3 && i < 8 ? COPY_MEMBER : COPY_USELESS);
        assert_true(choose(copies, 6, 0, 3, 0, roles).tied);
    }
}

/* The model: each rule of version.h by itself, spelled out for each copy. */
struct verdict {
    unsigned shares;
    int complete; /* 2: by its own k and by what most say, 1: by its own alone, 0: not */
    int64_t mtime_ns;
};

static bool model_could_be(const struct copy_facts copies[], size_t count, size_t copy,
                           const struct share_header *header)
{
    bool fits_other = false;

    for (size_t i = 0; i < count; i++) {
        if (copies[i].has_header && !version_is_same(&copies[i].header, header))
            fits_other |= copies[copy].size == layout_share_size(&copies[i].header.layout);
    }
    return !fits_other && copies[copy].size == layout_share_size(&header->layout);
}

/* The k that most copies say; the largest of those that are said as often. */
static unsigned usual_k(const struct copy_facts copies[], size_t count)
{
    unsigned usual = 0, most = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned k = copies[i].header.layout.required, said = 0;
        for (size_t j = 0; copies[i].has_header && j < count; j++)
            said += copies[j].has_header && copies[j].header.layout.required == k;
        if (said > most || (said == most && said > 0 && k > usual)) {
            usual = k;
            most = said;
        }
    }
    return usual;
}

static struct verdict judge(const struct copy_facts copies[], size_t count,
                            const struct share_header *header)
{
    struct verdict verdict = {.mtime_ns = header->mtime_ns};

    for (unsigned index = 0; index < 256; index++) {
        bool found = false;
        for (size_t i = 0; i < count; i++)
            found |= copies[i].has_header && copies[i].header.index == index &&
                     version_is_same(&copies[i].header, header);
        verdict.shares += found;
    }
    for (size_t i = 0; i < count; i++)
        verdict.shares += !copies[i].has_header && model_could_be(copies, count, i, header);
    if (verdict.shares >= header->layout.required)
        verdict.complete = verdict.shares >= usual_k(copies, count) ? 2 : 1;
    return verdict;
}

static bool is_better(struct verdict a, struct verdict b)
{
    if (a.complete != b.complete)
        return a.complete > b.complete;
    if (a.mtime_ns != b.mtime_ns)
        return a.mtime_ns > b.mtime_ns;
    return a.shares > b.shares;
}

static struct copy_facts random_copy(void)
{
    static const uint64_t sizes[] = {SIZE, SIZE, SIZE + 1, SIZE + 300};
    struct share_header header = header_of((uint8_t)random_below(6), (int64_t)random_below(3));

    header.layout.source_size = sizes[random_below(COUNT_OF(sizes))];
    header.layout.required = (uint8_t)(random_below(6) == 0 ? 2 : K);
    return random_below(5) == 0 ? nameless_as(header) : copy_with(header);
}

static void check_against_model(const struct copy_facts copies[], size_t count)
{
    struct version version;
    enum copy_role roles[COPIES_MAX];
    bool tied = false, found = false;

    int r = version_choose(copies, count, 0, &version, roles);
    for (size_t i = 0; i < count; i++)
        found |= copies[i].has_header;
    assert_int_equal(r, found ? 0 : -ENODATA);
    if (r < 0)
        return;
    struct verdict chosen = judge(copies, count, &version.header);
    assert_int_equal(version.members + version.nameless, chosen.shares);
    for (size_t i = 0; i < count; i++) {
        if (!copies[i].has_header)
            continue;
        struct verdict other = judge(copies, count, &copies[i].header);
        assert_false(is_better(other, chosen));
        tied |= !is_better(chosen, other) &&
                copies[i].header.layout.source_size != version.header.layout.source_size;
    }
    assert_int_equal(version.tied, tied);
}

static void test_against_model(void **state)
{
    struct copy_facts copies[COPIES_MAX];

    for (unsigned round = 0; round < 20000; round++) {
        size_t count = random_below(COPIES_MAX + 1);
        for (size_t i = 0; i < count; i++)
            copies[i] = random_copy();
        check_against_model(copies, count);
    }
}

/* Just as good, and of the same size: the source may well be the same, cut in another way. */
static void test_no_tie_among_equal_sizes(void **state)
{
    struct copy_facts copies[4];
    enum copy_role roles[COPIES_MAX];

    for (uint8_t i = 0; i < 4; i++) {
        struct share_header header = header_of(i, TIME);
        header.layout.block_size *= i < 2 ? 2 : 1;
        copies[i] = copy_with(header);
    }
    assert_false(choose(copies, 4, 0, 2, 0, roles).tied);
}

/* The order of the stores means nothing, but among versions that are just as good. */
static void test_any_order(void **state)
{
    struct copy_facts copies[8], mixed[8];
    enum copy_role roles[COPIES_MAX];
    struct version first, second;
    uint8_t order[8];

    for (unsigned round = 0; round < 5000; round++) {
        for (size_t i = 0; i < 8; i++)
            copies[i] = random_copy();
        random_indices(8, 8, order);
        for (size_t i = 0; i < 8; i++)
            mixed[i] = copies[order[i]];
        int r = version_choose(copies, 8, 0, &first, roles);
        assert_int_equal(version_choose(mixed, 8, 0, &second, roles), r);
        if (r < 0)
            continue;
        struct verdict a = judge(copies, 8, &first.header), b = judge(copies, 8, &second.header);
        assert_int_equal(first.tied, second.tied);
        assert_false(is_better(a, b) || is_better(b, a));
    }
}

/* Whether these copies give this version, and the first ones are worth the same. */
static bool is_same_choice(const struct copy_facts copies[], size_t count,
                           const struct version *version, const enum copy_role roles[],
                           size_t known)
{
    enum copy_role others[COPIES_MAX];
    struct version other;

    if (version_choose(copies, count, 0, &other, others) < 0)
        return false;
    return version_is_same(&other.header, &version->header) && !other.tied &&
           memcmp(roles, others, known * sizeof *roles) == 0;
}

/* What is settled stays as it is, whatever comes along. */
static void test_settled(void **state)
{
    struct copy_facts copies[COPIES_MAX];
    enum copy_role roles[COPIES_MAX];
    struct version version;
    unsigned settled = 0;

    for (unsigned round = 0; round < 20000; round++) {
        size_t known = 1 + random_below(7), pending = 1 + random_below(3);
        bool clear = random_below(2);
        for (size_t i = 0; i < known; i++)
            copies[i] = clear ? copy_of((uint8_t)i, 1) : random_copy();
        if (!version_is_settled(copies, known, pending))
            continue;
        settled++;
        assert_int_equal(version_choose(copies, known, 0, &version, roles), 0);
        for (unsigned turn = 0; turn < 20; turn++) {
            bool alike = random_below(2);
            struct copy_facts late = random_copy();
            for (size_t i = 0; i < pending; i++) {
                copies[known + i] = alike ? late : random_copy();
                if (alike && late.has_header)
                    copies[known + i].header.index = (uint8_t)(10 + i);
            }
            assert_true(is_same_choice(copies, known + pending, &version, roles, known));
        }
    }
    assert_true(settled > 1000);
}

static void test_not_settled(void **state)
{
    struct copy_facts copies[COPIES_MAX];

    for (uint8_t i = 0; i < 8; i++)
        copies[i] = copy_of(i, TIME);
    assert_true(version_is_settled(copies, 3, 2));
    assert_false(version_is_settled(copies, 3, 3)); /* which may have a newer one */
    assert_false(version_is_settled(copies, 2, 1));
    copies[7] = copy_of(9, TIME + 1);
    assert_true(version_is_settled(copies, 8, 1));
    assert_false(version_is_settled(copies, 8, 2));
    copies[6] = nameless_as(copies[0].header);
    assert_false(version_is_settled(copies, 7, 1));
    assert_false(version_is_settled(copies, 0, 1));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_version),
        cmocka_unit_test(test_other_versions),
        cmocka_unit_test(test_no_header),
        cmocka_unit_test(test_one_version),
        cmocka_unit_test(test_an_index_counts_once),
        cmocka_unit_test(test_newest_complete_version),
        cmocka_unit_test(test_newest_where_none_is_complete),
        cmocka_unit_test(test_duplicates_do_not_complete),
        cmocka_unit_test(test_lonely_future),
        cmocka_unit_test(test_one_that_says_it_is_enough),
        cmocka_unit_test(test_smaller_k),
        cmocka_unit_test(test_times_before_1970),
        cmocka_unit_test(test_most_shares_among_equal_times),
        cmocka_unit_test(test_tie),
        cmocka_unit_test(test_settled),
        cmocka_unit_test(test_not_settled),
        cmocka_unit_test(test_no_tie_among_equal_sizes),
        cmocka_unit_test(test_roles_of_others),
        cmocka_unit_test(test_nameless),
        cmocka_unit_test(test_ambiguous_nameless),
        cmocka_unit_test(test_nameless_completes),
        cmocka_unit_test(test_nameless_beside_extensions),
        cmocka_unit_test(test_unchecked_formats),
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_any_order),
    };

    return cmocka_run_group_tests_name("version", tests, support_set_up, NULL);
}
