/* SPDX-License-Identifier: MIT */
/* Where paths lead in a tree: to what it holds, and never out of it. */
#include "tree-support.h"

#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

static void test_files(void **state)
{
    struct stat ours, theirs;

    assert_content("file", "the file");
    assert_content("dir/file", "another file");
    assert_content("dir/sub/deep", "deep");
    assert_results("file", 0, 0, -ENOTDIR, -EINVAL);
    assert_int_equal(tree_stat(tree, "dir/file", &ours), 0);
    assert_int_equal(fstatat(root, "dir/file", &theirs, 0), 0);
    assert_int_equal(ours.st_ino, theirs.st_ino);
    assert_int_equal(ours.st_dev, theirs.st_dev);
    assert_int_equal(ours.st_mtim.tv_nsec, theirs.st_mtim.tv_nsec);
}

static void test_directories(void **state)
{
    assert_results("dir", 0, -EISDIR, 0, -EINVAL);
    assert_results("dir/sub", 0, -EISDIR, 0, -EINVAL);
    assert_type("dir/sub", S_IFDIR);
}

static void test_root(void **state)
{
    struct stat ours, theirs;

    assert_results("", 0, -EISDIR, 0, -EINVAL);
    assert_int_equal(tree_stat(tree, "", &ours), 0);
    assert_int_equal(fstat(root, &theirs), 0);
    assert_int_equal(ours.st_ino, theirs.st_ino);
}

static void test_missing(void **state)
{
    assert_refused("nothing", -ENOENT);
    assert_refused("dir/nothing", -ENOENT);
    assert_refused("nothing/file", -ENOENT);
    assert_refused("nothing/nothing/nothing", -ENOENT);
    assert_refused("FILE", -ENOENT);
}

static void test_file_as_directory(void **state)
{
    assert_refused("file/x", -ENOTDIR);
    assert_refused("dir/file/x/y", -ENOTDIR);
    assert_refused("fifo/x", -ENOTDIR);
    assert_refused("socket/x", -ENOTDIR);
}

static void test_dots_are_refused(void **state)
{
    static const char *const paths[] = {
        "..",
        "../outside",
        "../root/file",
        "dir/..",
        "dir/../file",
        "dir/../..",
        "dir/../../outside",
        "dir/sub/../../..",
        "dir/sub/../file",
        "dir/sub/../../../outside-dir/secret",
        "../..",
        "empty/..",
    };

    for (size_t p = 0; p < COUNT_OF(paths); p++)
        assert_refused(paths[p], -EXDEV);
}

static void test_dots_in_names(void **state)
{
    assert_content("...", "dots");
    assert_content("..a", "dots");
    assert_content("dir/a..", "dots");
}

/* It never leads out of the tree. What it is, is not said: it is no path of a tree. */
static void test_leading_slash(void **state)
{
    char absolute[sizeof folder + 20];

    snprintf(absolute, sizeof absolute, "%s/outside", folder);
    assert_true(stat_result(absolute) < 0);
    assert_true(open_result(absolute) < 0);
    assert_true(open_result("/etc/passwd") < 0);
    assert_true(list_result("/") < 0);
}

static void test_links_at_the_end(void **state)
{
    static const char *const links[] = {
        "link-file",    "link-dir",         "link-here",        "link-up",
        "link-outside", "link-outside-dir", "link-absolute",    "link-slash",
        "link-loop",    "link-dangling",    "dir/link-outside", "dir/link-sub",
    };

    for (size_t l = 0; l < COUNT_OF(links); l++) {
        assert_type(links[l], S_IFLNK);
        assert_int_equal(open_result(links[l]), -EINVAL);
        assert_true(list_result(links[l]) < 0);
        assert_int_equal(link_result(links[l]), 0);
    }
    assert_link("link-file", "file");
    assert_link("link-outside", "../outside");
    assert_link("link-loop", "link-loop");
    assert_link("dir/link-outside", "../../outside");
}

static void test_links_in_the_middle(void **state)
{
    static const char *const paths[] = {
        "link-dir/file",         "link-dir/sub/deep",
        "link-dir/nothing",      "link-here/file",
        "link-here/link-file",   "link-up/outside",
        "link-up/root/file",     "link-outside-dir/secret",
        "link-slash/etc/passwd", "link-absolute/x",
        "link-loop/x",           "link-dangling/x",
        "dir/link-sub/deep",     "dir/link-outside/x",
        "link-file/x",
    };

    for (size_t p = 0; p < COUNT_OF(paths); p++)
        assert_refused(paths[p], -ENOTDIR);
}

static void test_long_link(void **state)
{
    char target[PATH_MAX];

    memset(target, 't', sizeof target - 1);
    target[sizeof target - 1] = '\0';
    if (symlinkat(target, root, "link-long") < 0)
        target[1000] = '\0'; /* Some file systems hold less. */
    if (target[1000] == '\0')
        make_link(target, "link-long");
    assert_link("link-long", target);
    unlinkat(root, "link-long", 0);
}

/* Nobody writes to the FIFO: to open it would be to wait for ever. */
static void test_fifo(void **state)
{
    unsigned left = alarm(10);

    assert_type("fifo", S_IFIFO);
    assert_results("fifo", 0, -EINVAL, -ENOTDIR, -EINVAL);
    alarm(left);
}

static void test_socket(void **state)
{
    assert_type("socket", S_IFSOCK);
    assert_results("socket", 0, -EINVAL, -ENOTDIR, -EINVAL);
}

static void test_device(void **state)
{
    if (mknodat(root, "device", S_IFCHR | 0600, makedev(1, 5)) < 0)
        skip();
    assert_type("device", S_IFCHR);
    assert_results("device", 0, -EINVAL, -ENOTDIR, -EINVAL);
    unlinkat(root, "device", 0);
}

/* Goes down to the directory; to be closed. */
static int go_down(int directory, const char *name)
{
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    assert_true(fd >= 0);
    close(directory);
    return fd;
}

enum { DEEP = 40 };

/* Directories of 200 letters in each other; PATH becomes the path of the innermost. */
static int make_deep(char *path)
{
    int at = make_directory(root, "deep");
    char name[201] = {0};
    size_t length = (size_t)sprintf(path, "deep");

    for (unsigned depth = 0; depth < DEEP; depth++) {
        memset(name, 'a' + (int)(depth % 26), 200);
        assert_int_equal(mkdirat(at, name, 0755), 0);
        at = go_down(at, name);
        length += (size_t)sprintf(path + length, "/%s", name);
    }
    return at;
}

static void test_longer_than_path_max(void **state)
{
    static char path[PATH_MAX * 3];
    int at = make_deep(path);
    cleanup_names struct names names = NO_NAMES;

    size_t length = strlen(path);
    assert_true(length > 8000);
    make_file(at, "file", "at the bottom");
    assert_int_equal(symlinkat("file", at, "link"), 0);
    assert_int_equal(symlinkat(".", at, "link-dir"), 0);
    close(at);
    assert_type(path, S_IFDIR);
    assert_int_equal(open_result(path), -EISDIR);
    assert_int_equal(tree_list(tree, path, &names), 0);
    assert_int_equal(names.count, 3);
    strcpy(path + length, "/file");
    assert_content(path, "at the bottom");
    strcpy(path + length, "/link");
    assert_link(path, "file");
    assert_int_equal(open_result(path), -EINVAL);
    strcpy(path + length, "/nothing");
    assert_refused(path, -ENOENT);
    strcpy(path + length, "/file/x");
    assert_refused(path, -ENOTDIR);
    strcpy(path + length, "/link-dir/file");
    assert_refused(path, -ENOTDIR);
    strcpy(path + length, "/..");
    assert_refused(path, -EXDEV);
}

/* About the border, where one way of walking takes over from the other. */
static void test_about_path_max(void **state)
{
    static char path[PATH_MAX + 300];
    int at = make_directory(root, "border");
    size_t length = (size_t)sprintf(path, "border");

    while (length < PATH_MAX - 300) {
        assert_int_equal(mkdirat(at, "0123456789", 0755), 0);
        at = go_down(at, "0123456789");
        length += (size_t)sprintf(path + length, "/0123456789");
    }
    path[length++] = '/';
    for (size_t total = PATH_MAX - 60; total < PATH_MAX - 45 + 60; total++) {
        memset(path + length, 'f', total - length);
        path[total] = '\0';
        if (total - length > NAME_MAX) {
            assert_refused(path, -ENAMETOOLONG);
            continue;
        }
        make_file(at, path + length, "at the border");
        assert_content(path, "at the border");
    }
    close(at);
}

static void test_name_too_long(void **state)
{
    char path[600];

    memset(path, 'n', sizeof path);
    path[NAME_MAX + 1] = '\0';
    assert_refused(path, -ENAMETOOLONG);
    memcpy(path, "dir/", 4);
    path[NAME_MAX + 1] = 'n';
    path[4 + NAME_MAX + 1] = '\0';
    assert_refused(path, -ENAMETOOLONG);
    path[4 + NAME_MAX] = '\0';
    assert_refused(path, -ENOENT);
}

static void test_endless_path(void **state)
{
    char *path = malloc(2 * 40000 + 2);
    struct stat status;

    assert_non_null(path);
    for (size_t level = 0; level < 40000; level++)
        memcpy(path + 2 * level, "d/", 2);
    strcpy(path + 2 * 40000, "d");
    assert_int_equal(tree_stat(tree, path, &status), -ENAMETOOLONG);
    free(path);
}

struct turns {
    atomic_bool over;
    atomic_int unexpected; /* an answer that leads where it must not, or to nothing known */
};

/* Thread 0 exchanges a directory and a symlink, the others look for what the symlink points to. */
static void turn_or_look(void *shared, unsigned number)
{
    struct turns *turns = shared;
    struct stat status;
    int fd;

    for (unsigned round = 0; number == 0 && round < 1000; round++)
        renameat2(root, "turn", root, "link-turn", RENAME_EXCHANGE);
    if (number == 0)
        turns->over = true;
    while (!turns->over) {
        int r = tree_open_file(tree, "turn/secret", &status, &fd);
        if (r == 0)
            close(fd);
        if (r != -ENOENT && r != -ENOTDIR)
            turns->unexpected = r == 0 ? 1 : r;
    }
}

static void test_changing_tree(void **state)
{
    struct turns turns = {.over = false};

    close(make_directory(root, "turn"));
    make_link("../outside-dir", "link-turn");
    in_threads(3, turn_or_look, &turns);
    assert_int_equal(turns.unexpected, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_files),
    cmocka_unit_test(test_directories),
    cmocka_unit_test(test_root),
    cmocka_unit_test(test_missing),
    cmocka_unit_test(test_file_as_directory),
    cmocka_unit_test(test_dots_are_refused),
    cmocka_unit_test(test_dots_in_names),
    cmocka_unit_test(test_leading_slash),
    cmocka_unit_test(test_links_at_the_end),
    cmocka_unit_test(test_links_in_the_middle),
    cmocka_unit_test(test_long_link),
    cmocka_unit_test(test_fifo),
    cmocka_unit_test(test_socket),
    cmocka_unit_test(test_device),
    cmocka_unit_test(test_longer_than_path_max),
    cmocka_unit_test(test_about_path_max),
    cmocka_unit_test(test_name_too_long),
    cmocka_unit_test(test_endless_path),
    cmocka_unit_test(test_changing_tree),
    cmocka_unit_test(test_by_steps),
};

int main(int count, char *words[])
{
    if (count > 1 && strcmp(words[1], "by-steps") == 0)
        return cmocka_run_group_tests_name("tree by steps", tests, set_up_by_steps, tear_down);
    return cmocka_run_group_tests_name("tree", tests, set_up, tear_down);
}
