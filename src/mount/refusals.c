/* SPDX-License-Identifier: MIT */
#include "mount/refusals.h"

#include <errno.h>

/* Defines the operation NAME, whose parameters behind the request are given. */
#define REFUSE(name, ...)                                                                          \
    static void name(fuse_req_t request, __VA_ARGS__)                                              \
    {                                                                                              \
        fuse_reply_err(request, EROFS);                                                            \
    }

REFUSE(refuse_setattr, fuse_ino_t node, struct stat *status, int which, struct fuse_file_info *info)
REFUSE(refuse_mknod, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
REFUSE(refuse_mkdir, fuse_ino_t parent, const char *name, mode_t mode)
REFUSE(refuse_unlink, fuse_ino_t parent, const char *name)
REFUSE(refuse_symlink, const char *target, fuse_ino_t parent, const char *name)
REFUSE(refuse_rename, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
       const char *new_name, unsigned flags)
REFUSE(refuse_link, fuse_ino_t node, fuse_ino_t new_parent, const char *new_name)
REFUSE(refuse_create, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *info)
REFUSE(refuse_write, fuse_ino_t node, const char *data, size_t size, off_t offset,
       struct fuse_file_info *info)
REFUSE(refuse_setxattr, fuse_ino_t node, const char *name, const char *value, size_t size,
       int flags)
REFUSE(refuse_removexattr, fuse_ino_t node, const char *name)
REFUSE(refuse_fallocate, fuse_ino_t node, int mode, off_t offset, off_t length,
       struct fuse_file_info *info)
REFUSE(refuse_copy_file_range, fuse_ino_t from, off_t from_offset, struct fuse_file_info *from_info,
       fuse_ino_t to, off_t to_offset, struct fuse_file_info *to_info, size_t length, int flags)

void refuse_writes(struct fuse_lowlevel_ops *operations)
{
    operations->setattr = refuse_setattr;
    operations->mknod = refuse_mknod;
    operations->mkdir = refuse_mkdir;
    operations->unlink = refuse_unlink;
    operations->rmdir = refuse_unlink;
    operations->symlink = refuse_symlink;
    operations->rename = refuse_rename;
    operations->link = refuse_link;
    operations->create = refuse_create;
    operations->write = refuse_write;
    operations->setxattr = refuse_setxattr;
    operations->removexattr = refuse_removexattr;
    operations->fallocate = refuse_fallocate;
    operations->copy_file_range = refuse_copy_file_range;
}
