/* SPDX-License-Identifier: MIT */
/*
 * All of it is run three times: as it stands; by a copy of this program in which the kernel does
 * not know openat2, so that paths are walked name by name; and a few tests more by one that may
 * mount.
 */
#include "support.h"

#include "tree/tree.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

/*
 * folder/outside              what must never be reached
 * folder/outside-dir/secret
 * folder/root/                the tree, with what make_tree puts into it
 */
static char folder[] = "/tmp/zfec-fs-test-tree-XXXXXX";
static int beside = -1, root = -1; /* folder, and the tree's root */
static struct tree *tree;
static bool by_steps; /* in that copy */

static void make_file(int directory, const char *name, const char *content)
{
    int fd = openat(directory, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
}

static int make_directory(int directory, const char *name)
{
    assert_int_equal(mkdirat(directory, name, 0755), 0);
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void make_link(const char *target, const char *name)
{
    assert_int_equal(symlinkat(target, root, name), 0);
}

static void make_socket(const char *name)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", root, name);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

static void make_links(void)
{
    char absolute[sizeof folder + 20];

    snprintf(absolute, sizeof absolute, "%s/outside", folder);
    make_link("file", "link-file");
    make_link("dir", "link-dir");
    make_link(".", "link-here");
    make_link("..", "link-up");
    make_link("../outside", "link-outside");
    make_link("../outside-dir", "link-outside-dir");
    make_link(absolute, "link-absolute");
    make_link("/", "link-slash");
    make_link("link-loop", "link-loop");
    make_link("nothing", "link-dangling");
    make_link("../../outside", "dir/link-outside");
    make_link("sub", "dir/link-sub");
}

static void make_tree(void)
{
    make_file(beside, "outside", "outside");
    close(make_directory(beside, "outside-dir"));
    make_file(beside, "outside-dir/secret", "secret");
    root = make_directory(beside, "root");
    close(make_directory(root, "dir"));
    close(make_directory(root, "dir/sub"));
    close(make_directory(root, "empty"));
    make_file(root, "file", "the file");
    make_file(root, "dir/file", "another file");
    make_file(root, "dir/sub/deep", "deep");
    make_file(root, "...", "dots");
    make_file(root, "..a", "dots");
    make_file(root, "dir/a..", "dots");
    make_links();
    assert_int_equal(mkfifoat(root, "fifo", 0644), 0);
    make_socket("socket");
}

/* Removes what is in DIRECTORY, to any depth, and closes it. */
static void empty(int directory)
{
    DIR *listing = fdopendir(directory);

    for (struct dirent *entry; (entry = readdir(listing));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int below = openat(directory, entry->d_name,
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (below >= 0)
            empty(below);
        unlinkat(directory, entry->d_name, below >= 0 ? AT_REMOVEDIR : 0);
    }
    closedir(listing);
}

static int set_up(void **state)
{
    char path[sizeof folder + 8];

    support_set_up(state);
    if (!mkdtemp(folder))
        return -1;
    beside = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_tree();
    snprintf(path, sizeof path, "%s/root", folder);
    return tree_open(path, &tree);
}

static int set_up_by_steps(void **state)
{
    struct open_how how = {.flags = O_PATH};

    by_steps = true;
    if (syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how) != -1 || errno != ENOSYS)
        return -1;
    return set_up(state);
}

static int tear_down(void **state)
{
    if (beside < 0)
        return 0;
    if (tree)
        tree_close(tree);
    close(root);
    empty(beside);
    return rmdir(folder);
}

static int open_result(const char *path)
{
    struct stat status;
    int fd = -1;

    int r = tree_open_file(tree, path, &status, &fd);
    assert_int_equal(r == 0, fd >= 0);
    if (fd >= 0)
        close(fd);
    return r;
}

static void assert_same_status(const struct stat *a, const struct stat *b)
{
    assert_int_equal(a->st_dev, b->st_dev);
    assert_int_equal(a->st_ino, b->st_ino);
    assert_int_equal(a->st_mode, b->st_mode);
    assert_int_equal(a->st_nlink, b->st_nlink);
    assert_int_equal(a->st_uid, b->st_uid);
    assert_int_equal(a->st_gid, b->st_gid);
    assert_int_equal(a->st_rdev, b->st_rdev);
    assert_int_equal(a->st_size, b->st_size);
    assert_int_equal(a->st_blksize, b->st_blksize);
    assert_int_equal(a->st_blocks, b->st_blocks);
    assert_memory_equal(&a->st_mtim, &b->st_mtim, sizeof a->st_mtim);
    assert_memory_equal(&a->st_ctim, &b->st_ctim, sizeof a->st_ctim);
}

/* The same whether or not this thread is busy in the directory, and whether or not it looks closer.
 */
static int stat_result(const char *path)
{
    struct stat status, nearby;
    struct tree_object object;

    int r = tree_stat(tree, path, &status);
    tree_stay_nearby();
    int looked = tree_look(tree, path, &object), again = tree_stat(tree, path, &nearby);
    tree_leave_nearby();
    assert_int_equal(again, r);
    assert_int_equal(looked, r);
    if (r < 0)
        return r;
    assert_same_status(&nearby, &status);
    assert_same_status(&object.status, &status);
    assert_int_equal(object.target != NULL, S_ISLNK(status.st_mode));
    assert_int_equal(object.fd >= 0 || object.open_error < 0, S_ISREG(status.st_mode));
    tree_object_clear(&object);
    return r;
}

static int list_result(const char *path)
{
    cleanup_names struct names names = NO_NAMES;

    return tree_list(tree, path, &names);
}

static int link_result(const char *path)
{
    cleanup_free char *target = NULL;

    return tree_read_link(tree, path, &target);
}

static int get_xattr_result(const char *path)
{
    char value[64];
    size_t size;

    return tree_get_xattr(tree, path, "user.zfec-fs-test", value, sizeof value, &size);
}

static int list_xattr_result(const char *path)
{
    char names[1024];
    size_t size;

    return tree_list_xattr(tree, path, names, sizeof names, &size);
}

/* What four of the functions answer to PATH. */
static void assert_results(const char *path, int of_stat, int of_open, int of_list, int of_link)
{
    assert_int_equal(stat_result(path), of_stat);
    assert_int_equal(open_result(path), of_open);
    assert_int_equal(list_result(path), of_list);
    assert_int_equal(link_result(path), of_link);
}

static void assert_refused(const char *path, int error)
{
    assert_results(path, error, error, error, error);
    assert_int_equal(get_xattr_result(path), error);
    assert_int_equal(list_xattr_result(path), error);
}

static void assert_content(const char *path, const char *expected)
{
    struct stat status;
    char content[64] = {0};
    cleanup_fd int fd = -1;

    assert_int_equal(tree_open_file(tree, path, &status, &fd), 0);
    assert_int_equal(status.st_size, strlen(expected));
    assert_true(S_ISREG(status.st_mode));
    assert_int_equal(read(fd, content, sizeof content - 1), strlen(expected));
    assert_string_equal(content, expected);
    assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void assert_type(const char *path, mode_t type)
{
    struct stat status;

    assert_int_equal(tree_stat(tree, path, &status), 0);
    assert_int_equal(stat_result(path), 0);
    assert_int_equal(status.st_mode & S_IFMT, type);
}

static void assert_link(const char *path, const char *expected)
{
    cleanup_free char *target = NULL;

    assert_type(path, S_IFLNK);
    assert_int_equal(tree_read_link(tree, path, &target), 0);
    assert_string_equal(target, expected);
}

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

static void assert_listed(const char *path, size_t count, const char *const expected[])
{
    cleanup_names struct names names = NO_NAMES;

    assert_int_equal(tree_list(tree, path, &names), 0);
    names_sort_unique(&names);
    assert_int_equal(names.count, count);
    for (size_t n = 0; n < count; n++)
        assert_string_equal(names_get(&names, n), expected[n]);
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
    assert_int_equal(tree_list_xattr(tree, path, bytes, sizeof bytes, &size), 0);
    assert_int_equal(count_name(bytes, size, "user.zfec-fs-test"), 1);
    size_t all = size;
    assert_int_equal(tree_list_xattr(tree, path, NULL, 0, &size), 0);
    assert_int_equal(size, all);
    assert_int_equal(tree_list_xattr(tree, path, bytes, 5, &size), -ERANGE);
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
        assert_int_equal(tree_list_xattr(tree, links[l], names, sizeof names, &size), 0);
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
    dev_t device = 0;

    assert_int_equal(fstat(root, &status), 0);
    assert_int_equal(tree_device(tree, &device), 0);
    assert_int_equal(device, status.st_dev);
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

/* From here on openat2 fails with ENOSYS, also after exec. */
static int refuse_openat2(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = COUNT_OF(filter), .filter = filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

static void test_by_steps(void **state)
{
    if (!by_steps)
        assert_passes_with(refuse_openat2, "by-steps");
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
    dev_t device = 0, of_root = 0;

    snprintf(path, sizeof path, "%s/root/empty", folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(tree_open(path, &mounted), 0);
    assert_int_equal(tree_device(mounted, &device), 0);
    assert_int_equal(device, status.st_dev);
    assert_int_equal(tree_device(tree, &of_root), 0);
    assert_true(device != of_root);
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
    cmocka_unit_test(test_endless_path),
    cmocka_unit_test(test_status_of_file_system),
    cmocka_unit_test(test_access_times_stay),
    cmocka_unit_test(test_changing_tree),
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
        return cmocka_run_group_tests_name("tree mounts", tests_of_mounts, set_up_mount,
                                           tear_down_mount);
    if (strcmp(group, "by-steps") == 0)
        return cmocka_run_group_tests_name("tree by steps", tests, set_up_by_steps, tear_down);
    return cmocka_run_group_tests_name("tree", tests, set_up, tear_down);
}
