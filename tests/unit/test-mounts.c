/* SPDX-License-Identifier: MIT */
/* Some of the tests are run by a copy of this program that may mount. */
#include "support.h"

#include "base/cleanup.h"
#include "tree/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { MOUNTS_BESIDE = 100 };

static char folder[] = "/tmp/zfec-fs-test-mounts-XXXXXX";

/* As the kernel remembers it: no file system is asked. */
static bool find_device(const char *path, dev_t *ret)
{
    cleanup_fd int fd = open(path, O_PATH | O_CLOEXEC);
    struct statx status;

    if (fd < 0 || statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) < 0)
        return false;
    *ret = makedev(status.stx_dev_major, status.stx_dev_minor);
    return true;
}

static dev_t device_of(const char *path)
{
    dev_t device = 0;

    assert_true(find_device(path, &device));
    return device;
}

/* Whether something is mounted at PATH, as /proc is on all but the strangest systems. */
static bool is_mounted(const char *path)
{
    dev_t device;

    return find_device(path, &device) && device != device_of("/");
}

static void assert_kind(dev_t device, bool pseudo, bool is_remote)
{
    assert_int_equal(mounts_is_pseudo(device), pseudo);
    assert_int_equal(mounts_is_remote(device), is_remote);
    assert_int_equal(mounts_is_pseudo(device), pseudo); /* what is remembered is the same */
}

static void test_pseudo(void **state)
{
    static const char *const paths[] = {"/proc", "/sys", "/dev/pts"};

    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        if (is_mounted(paths[i]))
            assert_kind(device_of(paths[i]), true, false);
    }
}

static void test_data(void **state)
{
    assert_false(mounts_is_pseudo(device_of("/")));
    assert_kind(device_of(folder), false, false);
}

/* No file system has the number 0; others are of no mount, or of none that may be seen. */
static void test_unknown_devices(void **state)
{
    assert_kind(0, false, false);
    assert_kind(makedev(4095, 1048575), false, false);
}

/* What is remembered is never too much, and nothing is taken for anything else. */
static void test_many_devices(void **state)
{
    dev_t of_proc = device_of("/proc"), of_folder = device_of(folder);

    if (!is_mounted("/proc"))
        skip();
    for (unsigned i = 0; i < 500; i++) {
        assert_false(mounts_is_pseudo(makedev(3000, i)));
        assert_int_equal(mounts_is_pseudo(i % 3 == 0 ? of_proc : of_folder), i % 3 == 0);
    }
}

struct asked {
    dev_t devices[2]; /* /proc's, and one of data */
    atomic_uint wrong;
};

static void ask(void *argument, unsigned number)
{
    struct asked *asked = argument;

    for (unsigned i = 0; i < 2000; i++) {
        asked->wrong += !mounts_is_pseudo(asked->devices[0]);
        asked->wrong += mounts_is_pseudo(asked->devices[1]) != 0;
        asked->wrong += mounts_is_pseudo(makedev(3000 + number, i)) != 0;
    }
}

static void test_threads(void **state)
{
    struct asked asked = {.devices = {device_of("/proc"), device_of(folder)}};

    if (!is_mounted("/proc"))
        skip();
    in_threads(8, ask, &asked);
    assert_int_equal(asked.wrong, 0);
}

static void test_places(void **state)
{
    if (!is_mounted("/proc"))
        skip();
    assert_true(mounts_is_at(device_of("/proc"), "/proc"));
    assert_true(mounts_is_at(device_of("/proc"), "/proc/self"));
    assert_false(mounts_is_at(device_of("/proc"), "/"));
    assert_false(mounts_is_at(device_of("/proc"), "/procession"));
    assert_true(mounts_is_at(device_of("/"), "/"));
    assert_true(mounts_is_at(device_of("/"), "/procession"));
    assert_false(mounts_is_at(device_of("/"), "/proc"));
    assert_true(mounts_is_at(device_of(folder), folder));
}

static void test_with_mounts(void **state)
{
    assert_passes_with(allow_mounts, "mounts");
}

/* From here on, what may mount */

static char *path_of(const char *name)
{
    char *path;

    assert_true(asprintf(&path, "%s/%s", folder, name) >= 0);
    return path;
}

static char *make_directory(const char *name)
{
    char *path = path_of(name);

    assert_int_equal(mkdir(path, 0755), 0);
    return path;
}

static void remove_mount(char *path)
{
    assert_int_equal(umount2(path, MNT_DETACH), 0);
    assert_int_equal(rmdir(path), 0);
    free(path);
}

static char *mount_tmpfs(const char *name)
{
    char *path = make_directory(name);

    assert_int_equal(mount("none", path, "tmpfs", 0, "size=64k"), 0);
    return path;
}

static void test_tmpfs(void **state)
{
    char *path = mount_tmpfs("tmpfs");
    dev_t device = device_of(path);

    assert_kind(device, false, false);
    assert_true(mounts_is_at(device, path));
    remove_mount(path);
}

/* The table escapes blanks and the like. */
static void test_strange_names(void **state)
{
    static const char *const names[] = {"a b", "tab\tline\nslash\\040", " - proc proc rw"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char *path = mount_tmpfs(names[i]);
        dev_t device = device_of(path);
        bool pseudo = mounts_is_pseudo(device), is_at = mounts_is_at(device, path);
        remove_mount(path);
        assert_false(pseudo);
        assert_true(is_at);
    }
}

/* A type of file systems that cannot be mounted here is left out. */
static void assert_type_is(const char *type, bool pseudo)
{
    char *path = make_directory(type);

    if (mount("none", path, type, 0, NULL) < 0) {
        rmdir(path);
        free(path);
        return;
    }
    dev_t device = device_of(path);
    bool found = mounts_is_pseudo(device);
    remove_mount(path);
    assert_int_equal(found, pseudo);
}

static void test_types(void **state)
{
    static const char *const pseudo[] = {"proc",    "sysfs",   "devpts",     "mqueue",  "cgroup2",
                                         "debugfs", "tracefs", "securityfs", "fusectl", "configfs"};
    static const char *const data[] = {"tmpfs", "ramfs"};

    for (size_t i = 0; i < COUNT_OF(pseudo); i++)
        assert_type_is(pseudo[i], true);
    for (size_t i = 0; i < COUNT_OF(data); i++)
        assert_type_is(data[i], false);
}

/* A device number is another file system's once its own is gone. */
static void test_numbers_are_used_again(void **state)
{
    unsigned again = 0;
    dev_t last = 0;

    for (unsigned i = 0; i < 40; i++) {
        bool pseudo = i % 2 == 0;
        char *path = make_directory("again");
        if (mount("none", path, pseudo ? "devpts" : "tmpfs", 0, NULL) < 0) {
            rmdir(path);
            skip();
        }
        dev_t device = device_of(path);
        bool found = mounts_is_pseudo(device);
        again += device == last;
        last = device;
        remove_mount(path);
        assert_int_equal(found, pseudo);
    }
    print_message("%u numbers were used again\n", again);
}

/* Nobody answers for it, and nobody needs to: the table is all that is asked. */
static void test_fuse(void **state)
{
    cleanup_fd int channel = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    char options[100], *path = make_directory("fuse");

    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", channel);
    if (channel < 0 || mount("nobody", path, "fuse.test", 0, options) < 0) {
        rmdir(path);
        skip();
    }
    dev_t device = device_of(path);
    bool is_remote = mounts_is_remote(device), pseudo = mounts_is_pseudo(device);
    bool is_at = mounts_is_at(device, path);
    remove_mount(path);
    assert_true(is_remote);
    assert_false(pseudo);
    assert_true(is_at);
    assert_false(mounts_is_remote(device));
}

/* Types that cannot all be mounted here; a table that names them stands in for the kernel's. */

static const char *const remote_types[] = {
    "virtiofs",   "9p",      "vboxsf", "vmhgfs",         "hgfs",      "prl_fs",       "nfs",
    "nfs4",       "cifs",    "smb3",   "smbfs",          "ncpfs",     "afs",          "coda",
    "ceph",       "lustre",  "beegfs", "fhgfs",          "gpfs",      "panfs",        "pvfs2",
    "orangefs",   "acfs",    "gfs2",   "ocfs2",          "autofs",    "auristorfs",   "fuse",
    "fuse.sshfs", "fuseblk", "davfs",  "fuse.glusterfs", "fuse.ceph", "fuse.zfec-fs", "fuse.rclone",
    "glusterfs",
};

static const char *const local_types[] = {
    "ext4",  "xfs",     "btrfs",     "zfs",   "tmpfs",   "overlay",  "vfat",
    "exfat", "ntfs3",   "f2fs",      "jfs",   "iso9660", "squashfs", "fusectl",
    "nfsd",  "cgroup2", "tmpfs.nfs", "local", "afsx",    "9",        "proc",
};

static void write_table(const char *path, size_t *ret_count)
{
    FILE *table = fopen(path, "w");
    unsigned number = 0;

    assert_non_null(table);
    for (size_t i = 0; i < COUNT_OF(remote_types); i++, number++)
        fprintf(table, "%u 1 200:%u / /r%u rw shared:1 - %s nfs fuse,ceph\n", number + 30, number,
                number, remote_types[i]);
    for (size_t i = 0; i < COUNT_OF(local_types); i++, number++)
        fprintf(table, "%u 1 200:%u / /l%u rw - %s nfs fuse,ceph\n", number + 30, number, number,
                local_types[i]);
    assert_int_equal(fclose(table), 0);
    *ret_count = number;
}

static void test_types_of_every_kind(void **state)
{
    char *path = mount_tmpfs("types"), *table = path_of("types/table");
    bool found[COUNT_OF(remote_types) + COUNT_OF(local_types)];
    size_t count;

    write_table(table, &count);
    bool mounted = mount(table, "/proc/self/mountinfo", NULL, MS_BIND, NULL) == 0;
    for (unsigned i = 0; mounted && i < count; i++)
        found[i] = mounts_is_remote(makedev(200, i));
    if (mounted)
        assert_int_equal(umount2("/proc/self/mountinfo", MNT_DETACH), 0);
    free(table);
    remove_mount(path);
    if (!mounted)
        skip();
    for (size_t i = 0; i < count; i++) {
        bool is_remote = i < COUNT_OF(remote_types);
        if (found[i] != is_remote)
            fail_msg("%s", is_remote ? remote_types[i] : local_types[i - COUNT_OF(remote_types)]);
    }
}

/* What lies on top of another mount at the same place counts. */
static void test_two_at_one_place(void **state)
{
    char *path = mount_tmpfs("twice"), *below;
    dev_t lower = device_of(path);

    assert_int_equal(mount("none", path, "tmpfs", 0, "size=64k"), 0);
    dev_t upper = device_of(path);
    assert_true(lower != upper);
    assert_true(mounts_is_at(upper, path));
    assert_false(mounts_is_at(lower, path));
    below = make_directory("twice/below");
    assert_true(mounts_is_at(upper, below));
    assert_int_equal(umount2(path, MNT_DETACH), 0);
    assert_true(mounts_is_at(lower, path));
    assert_false(mounts_is_at(upper, path));
    free(below);
    remove_mount(path);
}

/* A shortage is no answer, and is not remembered as one. */
static void test_shortage(void **state)
{
    dev_t of_proc = device_of("/proc"), of_root = device_of("/");
    struct rlimit before, none;

    if (!is_mounted("/proc"))
        skip();
    assert_int_equal(mounts_is_pseudo(of_proc), 1);
    char *path = mount_tmpfs("new"); /* the table has to be read again */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int results[] = {mounts_is_pseudo(of_proc), mounts_is_remote(of_root),
                     mounts_is_at(of_proc, "/proc"), mounts_are_ours("/")};
    bool closed;
    int way = mounts_closed_way("/", &closed);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (size_t i = 0; i < COUNT_OF(results); i++)
        assert_int_equal(results[i], -EMFILE);
    assert_int_equal(way, -EMFILE);
    assert_int_equal(mounts_is_pseudo(of_proc), 1);
    assert_int_equal(mounts_is_at(of_proc, "/proc"), 1);
    remove_mount(path);
}

/* Mounts that come and go: some before, some behind the others in the table. */
static void mount_and_unmount(void *argument)
{
    const atomic_bool *stop = argument;
    char *paths[MOUNTS_BESIDE];

    for (size_t i = 0; i < MOUNTS_BESIDE; i++) {
        assert_true(asprintf(&paths[i], "%s/beside-%zu", folder, i) >= 0);
        mkdir(paths[i], 0755);
    }
    for (unsigned i = 0; !atomic_load(stop); i++) {
        char *path = paths[i % MOUNTS_BESIDE];
        umount2(path, MNT_DETACH);
        mount("none", path, "tmpfs", 0, "size=64k");
    }
    for (size_t i = 0; i < MOUNTS_BESIDE; i++) {
        umount2(paths[i], MNT_DETACH);
        rmdir(paths[i]);
        free(paths[i]);
    }
}

struct changing {
    atomic_bool stop;
    atomic_uint wrong;
    dev_t first, last; /* of a pseudo file system, and of data */
    const char *place; /* of the last */
};

static void change_or_ask(void *argument, unsigned number)
{
    struct changing *changing = argument;

    if (number == 0) {
        mount_and_unmount(&changing->stop);
        return;
    }
    for (unsigned i = 0; i < 2000; i++) {
        changing->wrong += mounts_is_pseudo(changing->first) != 1;
        changing->wrong += mounts_is_pseudo(changing->last) != 0;
        changing->wrong += mounts_is_at(changing->last, changing->place) != 1;
    }
    atomic_store(&changing->stop, true);
}

/* The table is larger than what the kernel gives at once. */
static void test_changing_table(void **state)
{
    char name[20], *paths[MOUNTS_BESIDE];

    if (!is_mounted("/proc"))
        skip();
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        snprintf(name, sizeof name, "stays-%zu", i);
        paths[i] = mount_tmpfs(name);
    }
    const char *last = paths[COUNT_OF(paths) - 1];
    struct changing changing = {
        .first = device_of("/proc"), .last = device_of(last), .place = last};
    in_threads(2, change_or_ask, &changing);
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        remove_mount(paths[i]);
    assert_int_equal(changing.wrong, 0);
}

static int set_up(void **state)
{
    support_set_up(state);
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    return rmdir(folder);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_pseudo),          cmocka_unit_test(test_data),
    cmocka_unit_test(test_unknown_devices), cmocka_unit_test(test_many_devices),
    cmocka_unit_test(test_threads),         cmocka_unit_test(test_places),
    cmocka_unit_test(test_with_mounts),
};

static const struct CMUnitTest tests_with_mounts[] = {
    cmocka_unit_test(test_tmpfs),
    cmocka_unit_test(test_strange_names),
    cmocka_unit_test(test_types),
    cmocka_unit_test(test_numbers_are_used_again),
    cmocka_unit_test(test_fuse),
    cmocka_unit_test(test_types_of_every_kind),
    cmocka_unit_test(test_two_at_one_place),
    cmocka_unit_test(test_shortage),
    cmocka_unit_test(test_changing_table),
};

int main(int count, char *words[])
{
    if (count > 1 && strcmp(words[1], "mounts") == 0)
        return cmocka_run_group_tests_name("mounts that are made", tests_with_mounts, set_up,
                                           tear_down);
    return cmocka_run_group_tests_name("mounts", tests, set_up, tear_down);
}
