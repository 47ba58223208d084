/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "view/status.h"

#include <stdlib.h>
#include <sys/sysmacros.h>

static const mode_t kinds[] = {S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK};

/* With random bytes in all that it has, but for the kind. */
static struct stat status_of(mode_t kind)
{
    struct stat status;

    random_fill((uint8_t *)&status, sizeof status);
    status.st_mode = kind | (status.st_mode & 07777);
    return status;
}

static struct stat ordinary_file(void)
{
    return (struct stat){
        .st_dev = makedev(8, 1),
        .st_ino = 12345,
        .st_mode = S_IFREG | 0644,
        .st_nlink = 1,
        .st_size = 10000,
        .st_mtim = {1400000000, 123456789},
        .st_ctim = {1500000000, 987654321},
    };
}

static void test_same_status_same_version(void **state)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct stat status = status_of(kinds[i]), copy = status;
        assert_true(status_version(&status) == status_version(&copy));
    }
}

/* Each of them alone, by as little as there is, and by any other amount. */
static void test_version_of_a_file(void **state)
{
    struct stat status = ordinary_file();
    uint64_t version = status_version(&status);

    for (unsigned round = 0; round < 2000; round++) {
        int64_t by = round == 0 ? 1 : round == 1 ? -1 : (int64_t)random_between(1, 900000000);
        struct stat others[6];
        for (size_t i = 0; i < COUNT_OF(others); i++)
            others[i] = status;
        others[0].st_ino += (ino_t)by;
        others[1].st_size += by;
        others[2].st_mtim.tv_sec += by;
        others[3].st_mtim.tv_nsec = (status.st_mtim.tv_nsec + by + 1000000000) % 1000000000;
        others[4].st_ctim.tv_sec += by;
        others[5].st_ctim.tv_nsec = (status.st_ctim.tv_nsec + by + 1000000000) % 1000000000;
        for (size_t i = 0; i < COUNT_OF(others); i++) {
            assert_true(status_version(&others[i]) != version);
            assert_true(status_same_kind(status_version(&others[i]), version));
        }
    }
}

/* What one thing has more, and another one less, does not cancel out. */
static void test_version_of_a_file_in_two_ways(void **state)
{
    struct stat status = ordinary_file(), other = status;
    uint64_t version = status_version(&status);

    other.st_mtim = status.st_ctim;
    other.st_ctim = status.st_mtim;
    assert_true(status_version(&other) != version);
    other = status;
    other.st_ino = (ino_t)status.st_size;
    other.st_size = (off_t)status.st_ino;
    assert_true(status_version(&other) != version);
    for (int64_t by = 1; by <= 1000; by++) {
        other = status;
        other.st_ino += (ino_t)by;
        other.st_size -= by;
        assert_true(status_version(&other) != version);
        other = status;
        other.st_mtim.tv_sec += by;
        other.st_mtim.tv_nsec -= by;
        assert_true(status_version(&other) != version);
        other = status;
        other.st_mtim.tv_nsec += by;
        other.st_ctim.tv_sec -= by;
        assert_true(status_version(&other) != version);
    }
}

/* Rights, owners and reading are none of the content. */
static void test_other_things_are_no_version(void **state)
{
    struct stat status = ordinary_file();
    uint64_t version = status_version(&status);

    status.st_mode = S_IFREG | 04755;
    status.st_uid = 1000;
    status.st_gid = 100;
    status.st_nlink = 7;
    status.st_atim.tv_sec++;
    status.st_atim.tv_nsec++;
    status.st_blocks++;
    status.st_blksize *= 2;
    assert_true(status_version(&status) == version);
}

/* Of anything but a file the kind alone counts. */
static void test_version_of_other_kinds(void **state)
{
    for (size_t i = 1; i < COUNT_OF(kinds); i++) {
        struct stat first = status_of(kinds[i]);
        for (unsigned round = 0; round < 100; round++) {
            struct stat other = status_of(kinds[i]);
            assert_true(status_version(&first) == status_version(&other));
        }
    }
}

static void test_kinds(void **state)
{
    for (unsigned round = 0; round < 1000; round++) {
        for (size_t i = 0; i < COUNT_OF(kinds); i++) {
            for (size_t j = 0; j < COUNT_OF(kinds); j++) {
                struct stat a = status_of(kinds[i]), b = status_of(kinds[j]);
                uint64_t version = status_version(&a), other = status_version(&b);
                assert_int_equal(status_same_kind(version, other), i == j);
                assert_true(i == j || version != other);
            }
        }
    }
}

static int compare(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;

    return (*a > *b) - (*a < *b);
}

static void assert_all_different(uint64_t numbers[], size_t count)
{
    qsort(numbers, count, sizeof *numbers, compare);
    for (size_t i = 1; i < count; i++)
        assert_true(numbers[i] != numbers[i - 1]);
}

/* As a file that is written to goes on: no two of its versions are the same. */
static void test_many_versions(void **state)
{
    enum { COUNT = 200000 };
    uint64_t *versions = calloc(COUNT, sizeof *versions);
    struct stat status = ordinary_file();

    assert_non_null(versions);
    for (size_t i = 0; i < COUNT; i++) {
        status.st_mtim.tv_nsec = status.st_ctim.tv_nsec = (long)i / 4 * 4000000 % 1000000000;
        status.st_mtim.tv_sec = status.st_ctim.tv_sec = (time_t)i / 1000;
        status.st_size = 10000 + (off_t)i % 4;
        versions[i] = status_version(&status);
    }
    assert_all_different(versions, COUNT);
    free(versions);
}

static void test_inodes(void **state)
{
    enum { COUNT = 100000 };
    uint64_t *inodes = calloc(COUNT, sizeof *inodes);

    assert_non_null(inodes);
    for (size_t i = 0; i < COUNT; i++)
        inodes[i] = status_inode(makedev(8, i % 4), 1 + i / 20, (unsigned)(i / 4 % 5));
    assert_all_different(inodes, COUNT);
    free(inodes);
    assert_true(status_inode(makedev(8, 1), 77, 2) == status_inode(makedev(8, 1), 77, 2));
}

static void test_sizes(void **state)
{
    static const struct {
        uint64_t size, blocks;
    } cases[] = {{0, 0},
                 {1, 1},
                 {511, 1},
                 {512, 1},
                 {513, 2},
                 {1 << 20, 2048},
                 {(UINT64_C(1) << 40) + 1, (UINT64_C(1) << 31) + 1},
                 {INT64_MAX, UINT64_C(1) << 54}};

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct stat status = ordinary_file(), expected = status;
        status_set_size(&status, cases[i].size);
        assert_true((uint64_t)status.st_size == cases[i].size);
        assert_true((uint64_t)status.st_blocks == cases[i].blocks);
        expected.st_size = status.st_size;
        expected.st_blocks = status.st_blocks;
        assert_memory_equal(&status, &expected, sizeof status);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_status_same_version),
        cmocka_unit_test(test_version_of_a_file),
        cmocka_unit_test(test_version_of_a_file_in_two_ways),
        cmocka_unit_test(test_other_things_are_no_version),
        cmocka_unit_test(test_version_of_other_kinds),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_many_versions),
        cmocka_unit_test(test_inodes),
        cmocka_unit_test(test_sizes),
    };

    return cmocka_run_group_tests_name("status", tests, support_set_up, NULL);
}
