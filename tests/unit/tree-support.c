/* SPDX-License-Identifier: MIT */
#include "tree-support.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

char folder[] = FOLDER_NAME;
int beside = -1, root = -1;
struct tree *tree;
bool by_steps;

void make_file(int directory, const char *name, const char *content)
{
    int fd = openat(directory, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
}

int make_directory(int directory, const char *name)
{
    assert_int_equal(mkdirat(directory, name, 0755), 0);
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

void make_link(const char *target, const char *name)
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

int set_up(void **state)
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

int set_up_by_steps(void **state)
{
    struct open_how how = {.flags = O_PATH};

    by_steps = true;
    if (syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how) != -1 || errno != ENOSYS)
        return -1;
    return set_up(state);
}

int tear_down(void **state)
{
    if (beside < 0)
        return 0;
    if (tree)
        tree_close(tree);
    close(root);
    empty(beside);
    return rmdir(folder);
}

int open_result(const char *path)
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
int stat_result(const char *path)
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

int list_result(const char *path)
{
    cleanup_names struct names names = NO_NAMES;

    return tree_list(tree, path, &names);
}

int link_result(const char *path)
{
    cleanup_free char *target = NULL;

    return tree_read_link(tree, path, &target);
}

int get_xattr_result(const char *path)
{
    char value[64];
    size_t size;

    return tree_get_xattr(tree, path, "user.zfec-fs-test", value, sizeof value, &size);
}

int list_xattr_result(const char *path)
{
    char names[1024];
    size_t size;

    return tree_get_xattr(tree, path, NULL, names, sizeof names, &size);
}

/* What four of the functions answer to PATH. */
void assert_results(const char *path, int of_stat, int of_open, int of_list, int of_link)
{
    assert_int_equal(stat_result(path), of_stat);
    assert_int_equal(open_result(path), of_open);
    assert_int_equal(list_result(path), of_list);
    assert_int_equal(link_result(path), of_link);
}

void assert_refused(const char *path, int error)
{
    assert_results(path, error, error, error, error);
    assert_int_equal(get_xattr_result(path), error);
    assert_int_equal(list_xattr_result(path), error);
}

void assert_content(const char *path, const char *expected)
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

void assert_type(const char *path, mode_t type)
{
    struct stat status;

    assert_int_equal(tree_stat(tree, path, &status), 0);
    assert_int_equal(stat_result(path), 0);
    assert_int_equal(status.st_mode & S_IFMT, type);
}

void assert_link(const char *path, const char *expected)
{
    cleanup_free char *target = NULL;

    assert_type(path, S_IFLNK);
    assert_int_equal(tree_read_link(tree, path, &target), 0);
    assert_string_equal(target, expected);
}

void assert_listed(const char *path, size_t count, const char *const expected[])
{
    cleanup_names struct names names = NO_NAMES;

    assert_int_equal(tree_list(tree, path, &names), 0);
    names_sort_unique(&names);
    assert_int_equal(names.count, count);
    for (size_t n = 0; n < count; n++)
        assert_string_equal(names_get(&names, n), expected[n]);
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

void test_by_steps(void **state)
{
    if (!by_steps)
        assert_passes_with(refuse_openat2, "by-steps");
}
