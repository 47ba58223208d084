/* SPDX-License-Identifier: MIT */
/* seal/from_stat.h: what stat says there and back, and names of owners. */
#include "support.h"

#include "seal/from_stat.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/sysmacros.h>

#define NOBODYS 4123456789U /* the number of no user and no group */

static void assert_both(const struct stat *status, const char *target)
{
    cleanup_owners struct owners owners = NO_OWNERS;
    struct manifest manifest = {.path = strdup("")};
    struct stat back;

    assert_int_equal(
        attributes_from_stat(&owners, status, target ? strdup(target) : NULL, NULL, &manifest.self),
        0);
    attributes_to_stat(&manifest.self, &back);
    assert_int_equal(back.st_mode, status->st_mode);
    assert_int_equal(back.st_uid, status->st_uid);
    assert_int_equal(back.st_gid, status->st_gid);
    assert_int_equal(back.st_size, S_ISDIR(status->st_mode) ? 0 : status->st_size);
    assert_int_equal(back.st_mtim.tv_sec, status->st_mtim.tv_sec);
    assert_int_equal(back.st_mtim.tv_nsec, status->st_mtim.tv_nsec);
    assert_int_equal(back.st_rdev, status->st_rdev);
    manifest_clear(&manifest);
}

static void test_there_and_back(void **state)
{
    struct stat status = {.st_mode = S_IFREG | 04755, .st_uid = 1000, .st_gid = 7, .st_size = 123};

    status.st_mtim = (struct timespec){1400000000, 123456789};
    assert_both(&status, NULL);
    status.st_mtim = (struct timespec){-1, 999999999};
    assert_both(&status, NULL);
    status.st_mode = S_IFLNK | 0777;
    status.st_size = 3;
    assert_both(&status, "a/b");
    status.st_mode = S_IFBLK | 0600;
    status.st_size = 0;
    status.st_rdev = makedev(259, 70000);
    assert_both(&status, NULL);
    assert_int_equal(stat("/", &status), 0);
    assert_both(&status, NULL);
}

static void assert_names(struct owners *owners, uid_t uid, gid_t gid)
{
    struct stat status = {.st_mode = S_IFIFO, .st_uid = uid, .st_gid = gid};
    struct manifest manifest = {.path = strdup("")};
    const struct passwd *user = getpwuid(uid);
    const struct group *group = getgrgid(gid);

    assert_int_equal(attributes_from_stat(owners, &status, NULL, NULL, &manifest.self), 0);
    assert_int_equal(!user, !manifest.self.user);
    assert_int_equal(!group, !manifest.self.group);
    if (user)
        assert_string_equal(user->pw_name, manifest.self.user);
    if (group)
        assert_string_equal(group->gr_name, manifest.self.group);
    manifest_clear(&manifest);
}

static void test_names_of_owners(void **state)
{
    cleanup_owners struct owners owners = NO_OWNERS;

    for (unsigned round = 0; round < 2; round++) {
        for (unsigned number = 100; number-- > 0;)
            assert_names(&owners, number * 7 % 100, number * 11 % 100);
        assert_names(&owners, NOBODYS, NOBODYS);
        assert_int_equal(owners.users.count, 101);
        assert_int_equal(owners.groups.count, 101);
    }
}

static void test_xattrs_are_taken_over(void **state)
{
    cleanup_owners struct owners owners = NO_OWNERS;
    struct stat status = {.st_mode = S_IFREG};
    struct manifest manifest = {.path = strdup("")};
    struct xattrs xattrs = NO_XATTRS;

    assert_int_equal(xattrs_add(&xattrs, "user.x", "y", 1), 0);
    assert_int_equal(attributes_from_stat(&owners, &status, NULL, &xattrs, &manifest.self), 0);
    assert_null(xattrs.bytes);
    assert_true(manifest.self.xattrs.size > 0);
    manifest_clear(&manifest);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_names_of_owners),
        cmocka_unit_test(test_xattrs_are_taken_over),
    };

    return cmocka_run_group_tests_name("seal-attributes", tests, support_set_up, NULL);
}
