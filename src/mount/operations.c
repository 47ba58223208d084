/* SPDX-License-Identifier: MIT */
#include "mount/operations.h"

#include "base/buffer.h"
#include "base/log.h"
#include "mount/listing.h"
#include "view/status.h"

#include <string.h>

enum {
    ATTRIBUTES_ONLY = -1, /* an offset that stands for them, where the kernel is to forget */
    SMALL_MAX = 64 << 10, /* the most that is read of a file of which nothing may be wanted */
};

/*
 * A want of descriptors or memory says nothing of the file: the log names it. That of descriptors
 * is ours, not the reader's, who gets an error of reading.
 */
static void reply_error(fuse_req_t request, int error)
{
    bool ours = error == -EMFILE || error == -ENFILE;

    if (ours || error == -ENOMEM)
        log_once("a request failed: %s (%s)", strerrordesc_np(-error), strerrorname_np(-error));
    fuse_reply_err(request, ours ? EIO : -error);
}

static struct mounted *mounted_of(fuse_req_t request)
{
    return fuse_req_userdata(request);
}

static struct handle *handle_of(const struct fuse_file_info *info)
{
    return (struct handle *)(uintptr_t)info->fh;
}

static void initialize(void *userdata, struct fuse_conn_info *connection)
{
    const struct mounted *mounted = userdata;
    unsigned wanted = 0;

    connection->max_read = REQUEST_SIZE_MAX;
    connection->max_background = BACKGROUND_MAX;
    connection->congestion_threshold = BACKGROUND_MAX;
    /* A listing may bring what would be a request for each name; what is wanted is found out here,
     * and not by the kernel. But never where it may not keep that. */
    if (mounted_kept_s(mounted) > 0)
        wanted |= FUSE_CAP_READDIRPLUS;
    /* A slow look-up must not hold up the others in its directory. */
    wanted |= FUSE_CAP_PARALLEL_DIROPS;
    /* Access control lists can be seen in any case. Whether the kernel checks them, and modes, is
     * decided by this too; for each name that it looks up it then asks for the directory's. */
    if (mounted->permissions_checked)
        wanted |= FUSE_CAP_POSIX_ACL;
#ifdef FUSE_CAP_DIRECT_IO_ALLOW_MMAP /* libfuse 3.17, Linux 6.6 */
    if (mounted->pages_avoided)
        wanted |= FUSE_CAP_DIRECT_IO_ALLOW_MMAP;
#endif
    /* Pages belong to a node, and a node to a version: there is nothing to find out about them. */
    connection->want &= ~(unsigned)(FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_READDIRPLUS |
                                    FUSE_CAP_POSIX_ACL | FUSE_CAP_AUTO_INVAL_DATA);
    connection->want |= connection->capable & wanted;
}

static void answer_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct mounted *mounted = mounted_of(request);
    struct fuse_entry_param entry;

    int r = mounted_look_up(mounted, parent, name, &entry);
    if (r < 0)
        reply_error(request, r);
    else if (fuse_reply_entry(request, &entry) != 0)
        nodes_forget(mounted->nodes, entry.ino, 1);
    if (r == 0 && !S_ISDIR(entry.attr.st_mode))
        interest_note_look_up(&mounted->interest);
}

static void answer_forget(fuse_req_t request, fuse_ino_t node, uint64_t count)
{
    nodes_forget(mounted_of(request)->nodes, node, count);
    fuse_reply_none(request);
}

static void answer_forget_multi(fuse_req_t request, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        nodes_forget(mounted_of(request)->nodes, forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(request);
}

static void answer_getattr(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
    struct mounted *mounted = mounted_of(request);
    struct stat status;
    uint64_t size;

    int r = mounted_stat(mounted, node, NULL, &status);
    if (r == 0 && node != NODE_ROOT &&
        !status_same_kind(nodes_version(mounted->nodes, node), status_version(&status)))
        r = -ESTALE; /* then the kernel looks the name up again */
    if (r < 0) {
        reply_error(request, r);
        return;
    }
    /* What is open stays what it was, or fails to be read: with the size of another version the
     * kernel would cut it off, or fill it up with zeros, and ask no one. */
    if (S_ISREG(status.st_mode) &&
        nodes_tell(mounted->nodes, node, status_version(&status), &size) &&
        (uint64_t)status.st_size != size)
        status_set_size(&status, size);
    fuse_reply_attr(request, &status,
                    node == NODE_ROOT ? mounted_root_kept_s(mounted) : mounted_kept_s(mounted));
}

static void answer_readlink(fuse_req_t request, fuse_ino_t node)
{
    struct mounted *mounted = mounted_of(request);
    cleanup_free char *path = NULL, *target = NULL;

    int r = nodes_path(mounted->nodes, node, NULL, &path);
    if (r == 0)
        r = mounted->view->operations->read_link(mounted->view, path, &target);
    if (r < 0)
        reply_error(request, r);
    else
        fuse_reply_readlink(request, target);
}

/*
 * Gives the pages of NODE to the kernel, where the file is small and the kernel may not have them:
 * that saves the request to read it. What does not succeed is left to be read as usual.
 */
static void give_pages(struct mounted *mounted, uint64_t node, struct handle *handle,
                       struct fuse_file_info *info)
{
    struct view_file *file = handle->file;
    cleanup_buffer struct buffer buffer = NO_BUFFER;
    size_t size = (size_t)file->status.st_size, done = 0;
    struct fuse_bufvec pages = FUSE_BUFVEC_INIT(size);
    bool forgotten = !info->keep_cache;

    /* Far away, what is read for nothing costs more than a request. */
    if (handle->pages < PAGES_DROPPED || size == 0 || size > SMALL_MAX ||
        mounted_is_slow(mounted) || !nodes_wants_pages(mounted->nodes, node, forgotten, false))
        return;
    int r = buffer_take(size, &buffer);
    if (r == 0)
        r = file->operations->read(file, 0, size, buffer.data, &done);
    /* The kernel would wait for a page that is being read, and so for another thread of ours. */
    if (r < 0 || done < size || !nodes_wants_pages(mounted->nodes, node, forgotten, true))
        return;
    pages.buf[0].mem = buffer.data;
    bool given = fuse_lowlevel_notify_store(mounted->session, node, 0, &pages, 0) == 0;
    nodes_end_giving(mounted->nodes, node, given, file->content);
    if (given) {
        info->keep_cache = true;
        handle->read = true;
    }
}

/*
 * Lets an opened file in by its node. -ESTALE where another version is open: then the kernel looks
 * the name up again, and has the other one by a node of its own.
 *
 * The pages that the kernel keeps of a node are those of the node's version. What is of another
 * version by now does without them. Where the view is not live they have to be of one content, too:
 * stores may have two of one version, and each open file gives but one. Where pages are avoided no
 * file has any, but those of its own private mappings.
 */
static int enter_file(struct mounted *mounted, uint64_t node, struct handle *handle,
                      struct fuse_file_info *info)
{
    const struct stat *status = &handle->file->status;
    const struct node_file file = {status_version(status), (uint64_t)status->st_size,
                                   handle->file->content, mounted->pages_avoided};

    int r = nodes_enter(mounted->nodes, node, &file, &handle->pages);
    if (r < 0)
        return r;
    info->direct_io = handle->pages < PAGES_DROPPED;
    info->keep_cache =
        handle->pages == PAGES_KEPT ||
        (handle->pages == PAGES_DROPPED && mounted->view->live && status_is_settled(status));
    give_pages(mounted, node, handle, info);
    /* Of an open file of a live view the attributes are asked for, and of what does without pages:
     * it may be of another version than the kernel was told. */
    if (info->direct_io || mounted_kept_s(mounted) == 0)
        fuse_lowlevel_notify_inval_inode(mounted->session, node, ATTRIBUTES_ONLY, 0);
    return 0;
}

static void close_handle(struct mounted *mounted, uint64_t node, struct handle *handle)
{
    if (handle->pages != NOT_ENTERED)
        nodes_leave(mounted->nodes, node, handle->pages);
    handle_free(mounted, handle);
}

/* Opens NODE, a directory or a file, and answers. */
static void reply_opened(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info,
                         bool is_directory)
{
    struct mounted *mounted = mounted_of(request);
    struct view *view = mounted->view;
    struct handle *handle = handle_new(mounted);
    cleanup_free char *path = NULL;

    int r = handle ? nodes_path(mounted->nodes, node, NULL, &path) : -ENOMEM;
    if (r == 0)
        r = is_directory ? view->operations->list(view, path, &handle->names)
                         : view->operations->open(view, path, &handle->file);
    if (r == 0 && is_directory)
        handle->detail =
            mounted_is_slow(mounted) ? DETAIL_ALL : interest_in_listing(&mounted->interest);
    else if (r == 0)
        r = enter_file(mounted, node, handle, info);
    info->fh = (uintptr_t)handle;
    if (r == 0 && fuse_reply_open(request, info) == 0)
        return;
    if (r < 0)
        reply_error(request, r);
    if (handle)
        close_handle(mounted, node, handle);
}

static void answer_open(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
    if ((info->flags & O_ACCMODE) != O_RDONLY || info->flags & O_TRUNC)
        fuse_reply_err(request, EROFS);
    else
        reply_opened(request, node, info, false);
}

static void answer_opendir(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
    reply_opened(request, node, info, true);
}

static void answer_release(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
    close_handle(mounted_of(request), node, handle_of(info));
    fuse_reply_err(request, 0);
}

static void answer_read(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                        struct fuse_file_info *info)
{
    struct handle *handle = handle_of(info);
    struct view_file *file = handle->file;
    cleanup_buffer struct buffer buffer = NO_BUFFER;
    size_t done;

    if (handle->pages >= PAGES_DROPPED && !atomic_exchange(&handle->read, true))
        nodes_note_pages(mounted_of(request)->nodes, node, file->content);
    int r = buffer_take(size > 0 ? size : 1, &buffer);
    if (r == 0)
        r = file->operations->read(file, (uint64_t)offset, size, buffer.data, &done);
    if (r < 0)
        reply_error(request, r);
    else
        fuse_reply_buf(request, (const char *)buffer.data, done);
}

static void answer_lseek(fuse_req_t request, fuse_ino_t node, off_t offset, int whence,
                         struct fuse_file_info *info)
{
    struct view_file *file = handle_of(info)->file;
    uint64_t found = 0;

    /* ENOSYS is for the whole mount: the kernel does not ask again, and takes all for data. */
    int r = file->operations->seek ? file->operations->seek(file, (uint64_t)offset, whence, &found)
                                   : -ENOSYS;
    if (r < 0)
        reply_error(request, r);
    else
        fuse_reply_lseek(request, (off_t)found);
}

static void reply_listing(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                          const struct fuse_file_info *info, bool plus)
{
    const struct handle *handle = handle_of(info);
    const struct directory_part part = {node, &handle->names, (size_t)offset, plus,
                                        plus ? handle->detail : DETAIL_NAMES};
    cleanup_buffer struct buffer buffer = NO_BUFFER;
    size_t filled;

    int r = buffer_take(size > 0 ? size : 1, &buffer);
    if (r == 0)
        r = listing_fill(request, &part, (char *)buffer.data, size, &filled);
    if (r < 0)
        reply_error(request, r);
    else
        fuse_reply_buf(request, (const char *)buffer.data, filled);
}

static void answer_readdir(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                           struct fuse_file_info *info)
{
    reply_listing(request, node, size, offset, info, false);
}

static void answer_readdirplus(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                               struct fuse_file_info *info)
{
    reply_listing(request, node, size, offset, info, true);
}

/* Answers with the value of NAME, or (NULL) with all names; with their size where SIZE is 0. */
static void reply_xattr(fuse_req_t request, fuse_ino_t node, const char *name, size_t size)
{
    struct mounted *mounted = mounted_of(request);
    struct view *view = mounted->view;
    cleanup_free char *path = NULL, *bytes = malloc(size + 1);
    size_t there = 0;

    int r = bytes ? nodes_path(mounted->nodes, node, NULL, &path) : -ENOMEM;
    if (r == 0)
        r = name ? view->operations->get_xattr(view, path, name, bytes, size, &there)
                 : view->operations->list_xattr(view, path, bytes, size, &there);
    if (r < 0)
        reply_error(request, r);
    else if (size == 0)
        fuse_reply_xattr(request, there);
    else
        fuse_reply_buf(request, bytes, there);
}

static void answer_listxattr(fuse_req_t request, fuse_ino_t node, size_t size)
{
    reply_xattr(request, node, NULL, size);
}

static void answer_statfs(fuse_req_t request, fuse_ino_t node)
{
    struct view *view = mounted_of(request)->view;
    struct statvfs status;

    int r = view->operations->statfs(view, &status);
    if (r < 0)
        reply_error(request, r);
    else
        fuse_reply_statfs(request, &status);
}

/*
 * Defines an operation that writes, by its parameters behind the request. The kernel refuses by
 * itself as long as the mount is read-only; these are for one that someone remounts with rw.
 */
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

const struct fuse_lowlevel_ops mount_operations = {
    .init = initialize,
    .lookup = answer_lookup,
    .forget = answer_forget,
    .forget_multi = answer_forget_multi,
    .getattr = answer_getattr,
    .readlink = answer_readlink,
    .open = answer_open,
    .read = answer_read,
    .lseek = answer_lseek,
    .release = answer_release,
    .opendir = answer_opendir,
    .readdir = answer_readdir,
    .readdirplus = answer_readdirplus,
    .releasedir = answer_release,
    .statfs = answer_statfs,
    .getxattr = reply_xattr,
    .listxattr = answer_listxattr,
    .setattr = refuse_setattr,
    .mknod = refuse_mknod,
    .mkdir = refuse_mkdir,
    .unlink = refuse_unlink,
    .symlink = refuse_symlink,
    .rmdir = refuse_unlink,
    .rename = refuse_rename,
    .link = refuse_link,
    .create = refuse_create,
    .write = refuse_write,
    .setxattr = refuse_setxattr,
    .removexattr = refuse_removexattr,
    .fallocate = refuse_fallocate,
    .copy_file_range = refuse_copy_file_range,
};
