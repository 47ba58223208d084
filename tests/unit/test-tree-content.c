/* SPDX-License-Identifier: MIT */
/* What a tree says of what is in it, and of itself: names, extended attributes, places. */
#include "tree-support.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/xattr.h>

static void test_any_bytes_in_names(void **state)
{
    cleanup_names struct names names = NO_NAMES;
    int directory = make_directory(root, "bytes");
    char path[300] = "bytes/", *name = path + strlen(path);
    unsigned count = 0;

    for (unsigned byte = 1; byte < 256; byte++) {
        sprintf(name, "%c", byte);
        if (byte == '/' || byte == '.')
            continue;
        make_file(directory, name, name);
        count++;
    }
    memset(name, 0xff, NAME_MAX);
    make_file(directory, name, "long");
    assert_content(path, "long");
    close(directory);
    assert_int_equal(tree_list(tree, "bytes", &names), 0);
    assert_int_equal(names.count, count + 1);
    for (size_t n = 0; n < names.count; n++) {
        strcpy(name, names_get(&names, n));
        assert_content(path, strlen(name) == 1 ? name : "long");
    }
}

static void test_list(void **state)
{
    static const char *const expected[] = {"a..", "file", "link-outside", "link-sub", "sub"};

    assert_listed("dir", COUNT_OF(expected), expected);
    assert_listed("empty", 0, NULL);
}

/* Names are added to those that are there. */
static void test_list_adds(void **state)
{
    cleanup_names struct names names = NO_NAMES;

    assert_int_equal(names_add(&names, "before"), 0);
    assert_int_equal(tree_list(tree, "dir/sub", &names), 0);
    assert_int_equal(tree_list(tree, "empty", &names), 0);
    assert_int_equal(names.count, 2);
    assert_string_equal(names_get(&names, 0), "before");
    assert_string_equal(names_get(&names, 1), "deep");
}

static void test_list_large(void **state)
{
    enum { COUNT = 1500 };
    cleanup_names struct names names = NO_NAMES;
    int directory = make_directory(root, "large");
    char name[64];

    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "a name of some length %06u", i);
        assert_int_equal(mknodat(directory, name, S_IFREG | 0644, 0), 0);
    }
    close(directory);
    assert_int_equal(tree_list(tree, "large", &names), 0);
    assert_int_equal(names.count, COUNT);
    names_sort_unique(&names);
    assert_int_equal(names.count, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "a name of some length %06u", i);
        assert_string_equal(names_get(&names, i), name);
    }
}

/* How often the text with its NUL is among SIZE bytes of names. */
static unsigned count_name(const char *names, size_t size, const char *name)
{
    unsigned count = 0;

    for (size_t at = 0; at < size; at += strlen(names + at) + 1)
        count += strcmp(names + at, name) == 0;
    return count;
}

static void assert_xattr(const char *path)
{
    char bytes[1024];
    size_t size = 0;

    assert_int_equal(tree_get_xattr(tree, path, "user.zfec-fs-test", bytes, sizeof bytes, &size),
                     0);
    assert_int_equal(size, 5);
    assert_memory_equal(bytes, "va\0ue", 5);
    assert_int_equal(tree_get_xattr(tree, path, "user.zfec-fs-test", NULL, 0, &size), 0);
    assert_int_equal(size, 5);
    assert_int_equal(tree_get_xattr(tree, path, "user.zfec-fs-test", bytes, 4, &size), -ERANGE);
    assert_int_equal(tree_get_xattr(tree, path, "user.zfec-fs-none", bytes, 4, &size), -ENODATA);
    assert_int_equal(tree_get_xattr(tree, path, NULL, bytes, sizeof bytes, &size), 0);
    assert_int_equal(count_name(bytes, size, "user.zfec-fs-test"), 1);
    size_t all = size;
    assert_int_equal(tree_get_xattr(tree, path, NULL, NULL, 0, &size), 0);
    assert_int_equal(size, all);
    assert_int_equal(tree_get_xattr(tree, path, NULL, bytes, 5, &size), -ERANGE);
}

/* Gives it one attribute, where its file system has such a thing. */
static void set_xattr(int directory, const char *name)
{
    cleanup_fd int fd = openat(directory, *name ? name : ".", O_RDONLY | O_CLOEXEC);

    if (fsetxattr(fd, "user.zfec-fs-test", "va\0ue", 5, 0) < 0 && errno == ENOTSUP)
        skip();
    assert_int_equal(fsetxattr(fd, "user.zfec-fs-test", "va\0ue", 5, 0), 0);
}

static void test_xattrs(void **state)
{
    set_xattr(root, "file");
    set_xattr(root, "dir/sub");
    set_xattr(root, "");
    assert_xattr("file");
    assert_xattr("dir/sub");
    assert_xattr("");
    assert_int_equal(get_xattr_result("dir/file"), -ENODATA);
    assert_int_equal(list_xattr_result("dir/file"), 0);
    assert_int_equal(get_xattr_result("fifo"), -ENODATA);
    assert_int_equal(list_xattr_result("fifo"), 0);
}

/* The link's own, of which there are none, not those of what it points to. */
static void test_xattrs_of_links(void **state)
{
    static const char *const links[] = {"link-outside", "link-absolute", "link-file",
                                        "link-dir",     "dir/link-sub",  "link-up"};
    char names[1024];
    size_t size;

    set_xattr(beside, "outside");
    set_xattr(beside, "");
    set_xattr(root, "file");
    set_xattr(root, "dir");
    set_xattr(root, "dir/sub");
    for (size_t l = 0; l < COUNT_OF(links); l++) {
        assert_int_equal(get_xattr_result(links[l]), -ENODATA);
        assert_int_equal(tree_get_xattr(tree, links[l], NULL, names, sizeof names, &size), 0);
        assert_int_equal(count_name(names, size, "user.zfec-fs-test"), 0);
    }
}

static void test_open_tree(void **state)
{
    struct tree *const nothing = tree, *opened = nothing;
    char path[sizeof folder + 40];

    static const struct {
        const char *name;
        int expected;
    } roots[] = {{"root/nothing", -ENOENT},  {"root/file", -ENOTDIR},
                 {"root/fifo", -ENOTDIR},    {"root/link-dangling", -ENOENT},
                 {"root/link-loop", -ELOOP}, {"root/link-file", -ENOTDIR},
                 {"root/file/x", -ENOTDIR}};
    for (size_t p = 0; p < COUNT_OF(roots); p++) {
        snprintf(path, sizeof path, "%s/%s", folder, roots[p].name);
        assert_int_equal(tree_open(path, &opened), roots[p].expected);
        assert_ptr_equal(opened, nothing);
    }
    assert_int_equal(tree_open("", &opened), -ENOENT);
}

/* The user named it: as a symlink it is followed. */
static void test_open_tree_by_link(void **state)
{
    cleanup_tree struct tree *linked = NULL;
    char path[sizeof folder + 20];
    struct stat status;

    snprintf(path, sizeof path, "%s/root/link-dir", folder);
    assert_int_equal(tree_open(path, &linked), 0);
    assert_string_equal(tree_name(linked), path);
    assert_int_equal(tree_stat(linked, "sub/deep", &status), 0);
    assert_int_equal(tree_stat(linked, "../file", &status), -EXDEV);
}

/* As somebody else where we are root, so that rights mean something: what list answers. */
static int list_without_root(const char *path)
{
    cleanup_names struct names names = NO_NAMES;
    cleanup_tree struct tree *opened = NULL;
    bool is_root = geteuid() == 0;

    if (is_root && seteuid(65534) < 0)
        return -EPERM;
    prctl(PR_SET_DUMPABLE, 1); /* or else /proc/self would be root's now */
    int r = tree_open(path, &opened);
    if (r == 0)
        r = tree_list(opened, "", &names);
    if (is_root && seteuid(0) < 0)
        abort();
    return r;
}

static void test_without_rights(void **state)
{
    static const mode_t modes[] = {0000, 0311, 0200};
    char path[sizeof folder + 20], inner[sizeof path + 20];

    snprintf(path, sizeof path, "%s/closed", folder);
    snprintf(inner, sizeof inner, "%s/inner", path);
    close(make_directory(beside, "closed"));
    close(make_directory(beside, "closed/inner"));
    assert_int_equal(fchmod(beside, 0755), 0);
    assert_int_equal(list_without_root(path), 0);
    assert_int_equal(list_without_root(inner), 0);
    for (size_t m = 0; m < COUNT_OF(modes); m++) {
        assert_int_equal(chmod(path, modes[m]), 0);
        assert_int_equal(list_without_root(path), -EACCES);
        assert_int_equal(list_without_root(inner), modes[m] & 0111 ? 0 : -EACCES);
    }
    assert_int_equal(chmod(path, 0755), 0);
}

static void test_device_and_place(void **state)
{
    char path[sizeof folder + 40];
    struct stat status;

    assert_int_equal(fstat(root, &status), 0);
    assert_int_equal(tree_device(tree), status.st_dev);
    assert_true(tree_is_at(tree, tree_name(tree)));
    snprintf(path, sizeof path, "%s/root/link-here", folder);
    assert_true(tree_is_at(tree, path));
    snprintf(path, sizeof path, "%s/root/dir/..", folder);
    assert_true(tree_is_at(tree, path));
    assert_false(tree_is_at(tree, folder));
    assert_false(tree_is_at(tree, "/proc"));
    assert_false(tree_is_at(tree, ""));
    snprintf(path, sizeof path, "%s/root/file", folder);
    assert_false(tree_is_at(tree, path));
    snprintf(path, sizeof path, "%s/root/nothing", folder);
    assert_false(tree_is_at(tree, path));
}

static void test_status_of_file_system(void **state)
{
    struct statvfs ours, theirs;

    assert_int_equal(tree_statfs(tree, &ours), 0);
    assert_int_equal(fstatvfs(root, &theirs), 0);
    assert_int_equal(ours.f_bsize, theirs.f_bsize);
    assert_int_equal(ours.f_blocks, theirs.f_blocks);
    assert_int_equal(ours.f_namemax, theirs.f_namemax);
}

/* Reading leaves the time of the last access alone where it may: here, as the owner. */
static void test_access_times_stay(void **state)
{
    static const struct timespec times[] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
    struct stat status;

    assert_int_equal(utimensat(root, "dir/file", times, 0), 0);
    assert_int_equal(utimensat(root, "dir", times, 0), 0);
    assert_content("dir/file", "another file");
    assert_int_equal(list_result("dir"), 0);
    assert_int_equal(fstatat(root, "dir/file", &status, 0), 0);
    assert_int_equal(status.st_atim.tv_sec, 1000);
    assert_int_equal(fstatat(root, "dir", &status, 0), 0);
    assert_int_equal(status.st_atim.tv_sec, 1000);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_any_bytes_in_names),
    cmocka_unit_test(test_list),
    cmocka_unit_test(test_list_adds),
    cmocka_unit_test(test_list_large),
    cmocka_unit_test(test_xattrs),
    cmocka_unit_test(test_xattrs_of_links),
    cmocka_unit_test(test_open_tree),
    cmocka_unit_test(test_open_tree_by_link),
    cmocka_unit_test(test_without_rights),
    cmocka_unit_test(test_device_and_place),
    cmocka_unit_test(test_status_of_file_system),
    cmocka_unit_test(test_access_times_stay),
    cmocka_unit_test(test_by_steps),
};

int main(int count, char *words[])
{
    if (count > 1 && strcmp(words[1], "by-steps") == 0)
        return cmocka_run_group_tests_name("tree content by steps", tests, set_up_by_steps,
                                           tear_down);
    return cmocka_run_group_tests_name("tree content", tests, set_up, tear_down);
}
