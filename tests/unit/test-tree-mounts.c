/* SPDX-License-Identifier: MIT */
/*
 * Other file systems in a tree. Some tests are of mounts of their own, and run by one more copy of
 * this program, which may mount.
 */
#include "tree-support.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

/* Instead of the tree of all other tests another one, for a while. */
static struct tree *kept;

static int use_tree_of(const char *path)
{
    kept = tree;
    return tree_open(path, &tree);
}

static int use_tree_of_all(void **state)
{
    return use_tree_of("/");
}

static int use_tree_of_proc(void **state)
{
    return use_tree_of("/proc");
}

static int use_tree_again(void **state)
{
    tree_close(tree);
    tree = kept;
    return 0;
}

/* It is there and empty, whatever lies in it. */
static void assert_closed(const char *path)
{
    cleanup_names struct names names = NO_NAMES;
    struct stat status = {0};

    assert_results(path, 0, -EISDIR, 0, -EINVAL);
    assert_int_equal(tree_stat(tree, path, &status), 0);
    assert_true(S_ISDIR(status.st_mode));
    assert_int_equal(status.st_nlink, 2);
    assert_int_equal(tree_list(tree, path, &names), 0);
    assert_int_equal(names.count, 0);
    assert_int_equal(get_xattr_result(path), -ENODATA);
    assert_int_equal(list_xattr_result(path), 0);
}

/* Whether something else than the root's file system is mounted there. */
static bool is_mounted(const char *path)
{
    struct stat there, of_root;

    return stat(path, &there) == 0 && stat("/", &of_root) == 0 && there.st_dev != of_root.st_dev;
}

static void test_pseudo_file_systems(void **state)
{
    if (!is_mounted("/proc"))
        skip();
    assert_type("proc/self", S_IFLNK);
    assert_type("proc/sys/kernel", S_IFDIR);
    tree_stay(tree, false);
    assert_closed("proc");
    assert_refused("proc/self", -ENOENT);
    assert_refused("proc/sys/kernel", -ENOENT);
    assert_refused("proc/version", -ENOENT);
    assert_refused("proc/no such thing", -ENOENT);
    assert_refused("proc/..", -EXDEV);
    if (!is_mounted("/sys"))
        return;
    assert_closed("sys");
    assert_refused("sys/kernel", -ENOENT);
}

/* All else is as before, on other file systems, too. */
static void test_beside_pseudo_file_systems(void **state)
{
    char path[sizeof folder + 20];

    tree_stay(tree, false);
    snprintf(path, sizeof path, "%s/root/dir/file", folder);
    assert_content(path + 1, "another file");
    snprintf(path, sizeof path, "%s/root/nothing", folder);
    assert_refused(path + 1, -ENOENT);
    assert_results("", 0, -EISDIR, 0, -EINVAL);
}

static void test_no_other_file_systems(void **state)
{
    struct stat status, of_proc;

    if (!is_mounted("/proc"))
        skip();
    tree_stay(tree, true);
    assert_closed("proc");
    assert_refused("proc/self", -ENOENT);
    assert_int_equal(tree_stat(tree, "proc", &status), 0);
    assert_int_equal(stat("/proc", &of_proc), 0);
    assert_int_equal(status.st_dev, of_proc.st_dev);
    assert_int_equal(status.st_ino, of_proc.st_ino);
    assert_int_equal(status.st_mode, of_proc.st_mode);
    if (is_mounted("/dev"))
        assert_closed("dev");
    assert_type("", S_IFDIR);
}

/* The user named it: it is what he wants to see. */
static void test_tree_of_a_pseudo_file_system(void **state)
{
    for (unsigned all = 0; all < 2; all++) {
        tree_stay(tree, all);
        assert_type("self", S_IFLNK);
        assert_type("sys/kernel/hostname", S_IFREG);
        assert_results("", 0, -EISDIR, 0, -EINVAL);
    }
}

static void test_mounts(void **state)
{
    assert_passes_with(allow_mounts, "mounts");
}

/* Roots of file systems of one type have the same inode number. */
static void test_place_of_another_mount(void **state)
{
    cleanup_tree struct tree *mounted = NULL;
    char path[sizeof folder + 20], other[sizeof folder + 20];

    snprintf(path, sizeof path, "%s/root/empty", folder);
    snprintf(other, sizeof other, "%s/root/other", folder);
    close(make_directory(root, "other"));
    assert_int_equal(mount("none", other, "tmpfs", 0, "size=1m"), 0);
    assert_int_equal(tree_open(path, &mounted), 0);
    bool same = tree_is_at(mounted, other);
    umount2(other, MNT_DETACH);
    assert_false(same);
}

/* Another file system at root/empty, with a directory and a file in it. */
static int set_up_mount(void **state)
{
    char path[sizeof folder + 20];

    if (set_up(state) < 0)
        return -1;
    snprintf(path, sizeof path, "%s/root/empty", folder);
    assert_int_equal(mount("none", path, "tmpfs", 0, "size=1m"), 0);
    close(make_directory(root, "empty/below"));
    make_file(root, "empty/below/file", "mounted");
    make_link("below", "empty/link");
    return 0;
}

static int tear_down_mount(void **state)
{
    char path[sizeof folder + 20];

    snprintf(path, sizeof path, "%s/root/empty", folder);
    umount2(path, MNT_DETACH);
    return tear_down(state);
}

static void test_device_of_a_mount(void **state)
{
    cleanup_tree struct tree *mounted = NULL;
    char path[sizeof folder + 20];
    struct stat status;

    snprintf(path, sizeof path, "%s/root/empty", folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(tree_open(path, &mounted), 0);
    assert_int_equal(tree_device(mounted), status.st_dev);
    assert_true(tree_device(mounted) != tree_device(tree));
    assert_true(tree_is_at(mounted, path));
    assert_false(tree_is_at(tree, path));
}

static void test_across_a_mount(void **state)
{
    static const char *const expected[] = {"below", "link"};
    struct stat status, of_root;

    assert_listed("empty", COUNT_OF(expected), expected);
    assert_content("empty/below/file", "mounted");
    assert_int_equal(tree_stat(tree, "empty", &status), 0);
    assert_int_equal(tree_stat(tree, "", &of_root), 0);
    assert_true(status.st_dev != of_root.st_dev);
    assert_link("empty/link", "below");
    assert_refused("empty/link/file", -ENOTDIR);
    assert_refused("empty/..", -EXDEV);
    assert_refused("empty/../file", -EXDEV);
    assert_refused("empty/below/../../file", -EXDEV);
    assert_refused("empty/nothing", -ENOENT);
    assert_refused("empty/below/file/x", -ENOTDIR);
}

static int use_same_tree(void **state)
{
    char path[sizeof folder + 8];

    snprintf(path, sizeof path, "%s/root", folder);
    return use_tree_of(path);
}

/* A tmpfs holds data: it is entered, unless all others are left out. */
static void test_closed_mount(void **state)
{
    static const char *const expected[] = {"below", "link"};

    tree_stay(tree, false);
    assert_content("empty/below/file", "mounted");
    assert_listed("empty", COUNT_OF(expected), expected);
    tree_stay(tree, true);
    assert_closed("empty");
    assert_refused("empty/below", -ENOENT);
    assert_refused("empty/below/file", -ENOENT);
    assert_refused("empty/link", -ENOENT);
    assert_content("dir/file", "another file");
}

/* Mounted a second time the tree's own file system is no other one. */
static void test_bound_directory(void **state)
{
    char from[sizeof folder + 20], to[sizeof folder + 20];

    snprintf(from, sizeof from, "%s/root/dir", folder);
    snprintf(to, sizeof to, "%s/root/bound", folder);
    close(make_directory(root, "bound"));
    assert_int_equal(mount(from, to, NULL, MS_BIND, NULL), 0);
    tree_stay(tree, true);
    int r = open_result("bound/sub/deep");
    umount2(to, MNT_DETACH);
    assert_int_equal(r, 0);
}

/* Once the file system is to be avoided an empty directory shows in its place: the last test. */
static void test_avoided(void **state)
{
    struct stat status, covered = {.st_mode = S_IFDIR | 0500, .st_ino = 4711};
    char path[sizeof folder + 20];
    struct tree *opened = NULL;

    snprintf(path, sizeof path, "%s/root/empty", folder);
    assert_int_equal(tree_stat(tree, "empty", &status), 0);
    assert_int_equal(tree_open(path, &opened), 0);
    tree_close(opened);
    opened = NULL;
    tree_avoid(status.st_dev, &covered);
    assert_int_equal(tree_open(path, &opened), -ENOTDIR);
    assert_null(opened);
    assert_int_equal(tree_stat(tree, "empty", &status), 0);
    assert_int_equal(status.st_ino, 4711);
    assert_int_equal(status.st_mode, S_IFDIR | 0500);
    assert_listed("empty", 0, NULL);
    assert_results("empty", 0, -EISDIR, 0, -EINVAL);
    assert_refused("empty/below", -ENOENT);
    assert_refused("empty/below/file", -ENOENT);
    assert_refused("empty/link", -ENOENT);
    assert_int_equal(get_xattr_result("empty"), -ENODATA);
    assert_int_equal(list_xattr_result("empty"), 0);
    assert_content("dir/file", "another file");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(test_pseudo_file_systems, use_tree_of_all, use_tree_again),
    cmocka_unit_test_setup_teardown(test_beside_pseudo_file_systems, use_tree_of_all,
                                    use_tree_again),
    cmocka_unit_test_setup_teardown(test_no_other_file_systems, use_tree_of_all, use_tree_again),
    cmocka_unit_test_setup_teardown(test_tree_of_a_pseudo_file_system, use_tree_of_proc,
                                    use_tree_again),
    cmocka_unit_test(test_by_steps),
    cmocka_unit_test(test_mounts),
};

static const struct CMUnitTest tests_of_mounts[] = {
    cmocka_unit_test(test_device_of_a_mount),
    cmocka_unit_test(test_place_of_another_mount),
    cmocka_unit_test(test_across_a_mount),
    cmocka_unit_test_setup_teardown(test_closed_mount, use_same_tree, use_tree_again),
    cmocka_unit_test_setup_teardown(test_bound_directory, use_same_tree, use_tree_again),
    cmocka_unit_test(test_avoided),
};

int main(int count, char *words[])
{
    const char *group = count > 1 ? words[1] : "";

    if (strcmp(group, "mounts") == 0)
        return cmocka_run_group_tests_name("mounts in a tree", tests_of_mounts, set_up_mount,
                                           tear_down_mount);
    if (strcmp(group, "by-steps") == 0)
        return cmocka_run_group_tests_name("other file systems by steps", tests, set_up_by_steps,
                                           tear_down);
    return cmocka_run_group_tests_name("other file systems", tests, set_up, tear_down);
}
