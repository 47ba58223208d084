/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "trust/leftover.h"

#include <string.h>

static const char *const names[] = {
    ".rsync-partial",
    ".~tmp~",
    "System Volume Information",
    ".DS_Store",
    ".a.abCdef",
    ".a.b.c.Xy09zZ",
    "..x.12345a",
    LEFTOVER_PREFIX,
    ".zfec-fs-new-7",
    ".zfec-fs-new-a b",
    "movie.5a8d90e6.zfec-fs-partial",
};

static const char *const files[] = {
    "a",
    "",
    ".",
    "..",
    ".rsync-partial2",
    "rsync-partial",
    ".~tmp",
    ".ds_store",
    ".DS_Store2",
    ".a.abcde",
    ".a.abcdefg",
    "a.b.abcdef",
    "a.abcdef",
    "..abcdef",
    ".abcdef",
    ".a.abc-ef",
    ".a.abcde\xe9",
    ".zfec-fs-new",
    LEFTOVER_SUFFIX,
    "a.zfec-fs-partial2",
    ".bashrc.backup",
    ".env.Sample",
    ".a.BACKUP",
    ".a.old123",
    ".a.123456",
    ".a.abCdef.c",
    "lost+found",
    ".bashrc",
    ".a.abcdef ",
};

static void test_leftover_names(void **state)
{
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_true(leftover_is_name(names[i]));
}

static void test_other_names(void **state)
{
    for (size_t i = 0; i < COUNT_OF(files); i++)
        assert_false(leftover_is_name(files[i]));
}

static void test_directories_that_hold_leftovers(void **state)
{
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_int_equal(leftover_is_directory(names[i]), i < 3);
    for (size_t i = 0; i < COUNT_OF(files); i++)
        assert_false(leftover_is_directory(files[i]));
}

static void test_the_last_part_of_a_path_tells(void **state)
{
    char path[300];

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        assert_true(leftover_is_path(names[i]));
        strcat(strcpy(path, "a/b/"), names[i]);
        assert_true(leftover_is_path(path));
    }
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        assert_false(leftover_is_path(files[i]));
        strcat(strcpy(path, "a/b/"), files[i]);
        assert_false(leftover_is_path(path));
    }
}

static void test_what_is_beneath_a_directory_of_leftovers(void **state)
{
    assert_true(leftover_is_path(".rsync-partial/a"));
    assert_true(leftover_is_path("a/.~tmp~/b/c"));
    assert_true(leftover_is_path("System Volume Information/x"));
    assert_true(leftover_is_path("/.rsync-partial/a"));
    assert_false(leftover_is_path("a/.rsync-partial2/b"));
}

/* A user's directory may well be named like rsync's temporary files. */
static void test_other_directories_hold_no_leftovers(void **state)
{
    assert_false(leftover_is_path(".DS_Store/a"));
    assert_false(leftover_is_path(".a.abCdef/b"));
    assert_false(leftover_is_path(".zfec-fs-new-1/b"));
    assert_true(leftover_is_path(".a.abCdef/.b.abCdef"));
}

static void test_long_parts(void **state)
{
    char path[2000];

    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_false(leftover_is_path(path));
    strcpy(path + 1000, "/.rsync-partial/a");
    assert_true(leftover_is_path(path));
    memset(path, 'x', 255);
    strcpy(path, ".a");
    memset(path + 2, 'b', 246);
    strcpy(path + 248, ".abCdef"); /* a name of 255 bytes, the longest there is */
    assert_int_equal(strlen(path), 255);
    assert_true(leftover_is_path(path));
}

static void test_no_stores(void **state)
{
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_true(leftover_is_no_store(names[i]));
    for (size_t i = 0; i < COUNT_OF(files); i++)
        assert_int_equal(leftover_is_no_store(files[i]), strcmp(files[i], "lost+found") == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leftover_names),
        cmocka_unit_test(test_other_names),
        cmocka_unit_test(test_directories_that_hold_leftovers),
        cmocka_unit_test(test_the_last_part_of_a_path_tells),
        cmocka_unit_test(test_what_is_beneath_a_directory_of_leftovers),
        cmocka_unit_test(test_other_directories_hold_no_leftovers),
        cmocka_unit_test(test_long_parts),
        cmocka_unit_test(test_no_stores),
    };

    return cmocka_run_group_tests(tests, support_set_up, NULL);
}
