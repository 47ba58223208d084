/* SPDX-License-Identifier: MIT */
#include "tree/acl.h"

#include "base/bytes.h"

#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#define ACCESS_NAME "system.posix_acl_access"

/* Rights as in one digit of a mode. */
struct rights {
    unsigned group, mask, named; /* named: those that all have that are named */
    bool has_named;
};

static void add_entry(struct rights *rights, const uint8_t *at)
{
    uint32_t head = load_le32(at); /* tag and rights, 16 bits each */
    unsigned permitted = head >> 16 & 7;

    switch (head & 0xffff) {
    case ACL_GROUP_OBJ:
        rights->group = permitted;
        break;
    case ACL_MASK:
        rights->mask = permitted;
        break;
    case ACL_USER:
    case ACL_GROUP:
        rights->named &= permitted;
        rights->has_named = true;
        break;
    default:
        break;
    }
}

mode_t acl_mode_without(const struct xattrs *xattrs, mode_t mode)
{
    struct rights rights = {7, 7, 7, false};
    struct xattr list;

    if (!xattrs_find(xattrs, ACCESS_NAME, &list))
        return mode;
    for (size_t at = sizeof(struct posix_acl_xattr_header);
         at + sizeof(struct posix_acl_xattr_entry) <= list.size;
         at += sizeof(struct posix_acl_xattr_entry))
        add_entry(&rights, (const uint8_t *)list.value + at);
    unsigned named = rights.has_named ? rights.named & rights.mask : 7;
    unsigned group = rights.group & rights.mask & named;
    return mode & (~(mode_t)077 | group << 3 | named);
}

bool acl_same_access(const struct xattrs *a, const struct xattrs *b)
{
    struct xattr ours, theirs;
    bool has = xattrs_find(a, ACCESS_NAME, &ours);

    if (has != xattrs_find(b, ACCESS_NAME, &theirs))
        return false;
    return !has || (ours.size == theirs.size && memcmp(ours.value, theirs.value, ours.size) == 0);
}
