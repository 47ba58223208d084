/* SPDX-License-Identifier: MIT */
#include "mount/operations.h"

#include "base/log.h"

#include "base/buffer.h"
#include "mount/listing.h"
#include "mount/lookup.h"
#include "mount/refusals.h"
#include "mount/small_files.h"
#include "view/status.h"

#include <stdbool.h>
#include <string.h>

enum {
    ATTRIBUTES_ONLY = -1, /* an offset that stands for them, where the kernel is to forget */
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

static void initialize(void *userdata, struct fuse_conn_info *connection)
{
    const struct mounted *mounted = userdata;

    connection->max_read = REQUEST_SIZE_MAX;
    connection->max_background = BACKGROUND_MAX;
    connection->congestion_threshold = BACKGROUND_MAX;
    /* A listing may bring what would be a request for each name; what is wanted is found out here,
     * and not by the kernel. But never where it may not keep that. */
    connection->want &= ~(unsigned)(FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_READDIRPLUS);
    if (lookup_kept_s(mounted) > 0)
        connection->want |= connection->capable & FUSE_CAP_READDIRPLUS;
    /* A slow look-up must not hold up the others in its directory. */
    connection->want |= connection->capable & FUSE_CAP_PARALLEL_DIROPS;
    /* Pages belong to a node, and a node to a version: there is nothing to find out. */
    connection->want &= ~(unsigned)FUSE_CAP_AUTO_INVAL_DATA;
    /* Access control lists can be seen in any case. Whether the kernel checks them, and modes, is
     * decided by this too; for each name that it looks up it then asks for the directory's. */
    if (mounted->permissions_checked)
        connection->want |= connection->capable & FUSE_CAP_POSIX_ACL;
    else
        connection->want &= ~(unsigned)FUSE_CAP_POSIX_ACL;
#ifdef FUSE_CAP_DIRECT_IO_ALLOW_MMAP /* libfuse 3.17, Linux 6.6 */
    if (mounted->pages_avoided)
        connection->want |= connection->capable & FUSE_CAP_DIRECT_IO_ALLOW_MMAP;
#endif
}

static void answer_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct mounted *mounted = mounted_of(request);
    struct fuse_entry_param entry;

    int r = lookup_entry(mounted, parent, name, &entry);
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

/*
 * What is open stays what it was, or fails to be read: with the size of another version the kernel
 * would cut it off, or fill it up with zeros, and ask no one.
 */
static void keep_open_size(struct mounted *mounted, uint64_t node, struct stat *status)
{
    uint64_t size;

    if (!S_ISREG(status->st_mode) ||
        !nodes_tell(mounted->nodes, node, status_version(status), &size))
        return;
    if ((uint64_t)status->st_size != size)
        status_set_size(status, size);
}

static void answer_getattr(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
    struct mounted *mounted = mounted_of(request);
    struct stat status;

    int r = lookup_stat(mounted, node, NULL, &status);
    if (r == 0 && node != NODE_ROOT &&
        !status_same_kind(nodes_version(mounted->nodes, node), status_version(&status)))
        r = -ESTALE; /* then the kernel looks the name up again */
    if (r == 0)
        keep_open_size(mounted, node, &status);
    if (r < 0)
        reply_error(request, r);
    else
        fuse_reply_attr(request, &status,
                        node == NODE_ROOT ? lookup_root_kept_s(mounted) : lookup_kept_s(mounted));
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
 * The pages that the kernel keeps of a node are those of the node's version. What is of another
 * version by now does without them. Where the view is not live they have to be of one content, too:
 * stores may have two of one version, and each open file gives but one. Where pages are avoided no
 * file has any, but those of its own private mappings.
 */
static void share_pages(struct mounted *mounted, uint64_t node, struct handle *handle,
                        struct fuse_file_info *info)
{
    const struct view_file *file = handle->file;
    bool may_share = !mounted->pages_avoided &&
                     nodes_version(mounted->nodes, node) == status_version(&file->status);
    enum node_pages pages =
        may_share ? nodes_open(mounted->nodes, node, file->content) : PAGES_OF_OTHER;

    handle->counted = may_share;
    handle->has_pages = pages != PAGES_OF_OTHER;
    info->direct_io = !handle->has_pages;
    info->keep_cache = pages == PAGES_KEPT || (handle->has_pages && mounted->view->live &&
                                               status_is_settled(&file->status));
}

static void close_handle(struct mounted *mounted, uint64_t node, struct handle *handle)
{
    if (handle->counted)
        nodes_close(mounted->nodes, node, !handle->has_pages);
    if (handle->entered)
        nodes_leave(mounted->nodes, node);
    handle_close(&mounted->handles, handle);
}

/*
 * Of an open file of a live view the attributes are asked for, and of what does without pages: it
 * may be of another version than the kernel was told.
 */
static void drop_attributes(struct mounted *mounted, uint64_t node,
                            const struct fuse_file_info *info)
{
    if (info->direct_io || lookup_kept_s(mounted) == 0)
        fuse_lowlevel_notify_inval_inode(mounted->session, node, ATTRIBUTES_ONLY, 0);
}

/*
 * Lets an opened file in by its node. -ESTALE where another version is open: then the kernel looks
 * the name up again, and has the other one by a node of its own.
 */
static int enter(struct mounted *mounted, uint64_t node, struct handle *handle,
                 struct fuse_file_info *info)
{
    const struct stat *status = &handle->file->status;

    int r = nodes_enter(mounted->nodes, node, status_version(status), (uint64_t)status->st_size);
    if (r < 0)
        return r;
    handle->entered = true;
    share_pages(mounted, node, handle, info);
    small_file_give(mounted, node, handle, info);
    drop_attributes(mounted, node, info);
    return 0;
}

/* Opens what REQUEST asks for into HANDLE by OPEN, and answers. */
static void reply_opened(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info,
                         int (*open)(struct view *view, const char *path, struct handle *handle))
{
    struct mounted *mounted = mounted_of(request);
    struct handle *handle = handle_new(&mounted->handles);
    cleanup_free char *path = NULL;

    int r = handle ? nodes_path(mounted->nodes, node, NULL, &path) : -ENOMEM;
    if (r == 0)
        r = open(mounted->view, path, handle);
    if (r == 0 && !handle->file)
        handle->detail =
            lookup_is_slow(mounted) ? DETAIL_ALL : interest_in_listing(&mounted->interest);
    if (r == 0 && handle->file)
        r = enter(mounted, node, handle, info);
    info->fh = (uintptr_t)handle;
    if (r == 0 && fuse_reply_open(request, info) == 0)
        return;
    if (r < 0)
        reply_error(request, r);
    if (handle)
        close_handle(mounted, node, handle);
}

static struct handle *handle_of(const struct fuse_file_info *info)
{
    return (struct handle *)(uintptr_t)info->fh;
}

static int open_file(struct view *view, const char *path, struct handle *handle)
{
    return view->operations->open(view, path, &handle->file);
}

static int open_listing(struct view *view, const char *path, struct handle *handle)
{
    return view->operations->list(view, path, &handle->names);
}

static void answer_open(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
    if ((info->flags & O_ACCMODE) != O_RDONLY || info->flags & O_TRUNC)
        fuse_reply_err(request, EROFS);
    else
        reply_opened(request, node, info, open_file);
}

static void answer_opendir(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
    reply_opened(request, node, info, open_listing);
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

    if (handle->has_pages && !atomic_exchange(&handle->read, true))
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

    int r =
        -ENOSYS; /* for the whole mount: the kernel does not ask again, and takes all for data */
    if (file->operations->seek)
        r = file->operations->seek(file, (uint64_t)offset, whence, &found);
    if (r < 0)
        reply_error(request, r);
    else
        fuse_reply_lseek(request, (off_t)found);
}

static void reply_listing(fuse_req_t request, const struct listing *listing, size_t size)
{
    cleanup_buffer struct buffer buffer = NO_BUFFER;
    size_t filled;

    int r = buffer_take(size > 0 ? size : 1, &buffer);
    if (r == 0)
        r = listing_fill(request, listing, (char *)buffer.data, size, &filled);
    if (r < 0)
        reply_error(request, r);
    else
        fuse_reply_buf(request, (const char *)buffer.data, filled);
}

static void answer_readdir(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                           struct fuse_file_info *info)
{
    struct listing listing = {node, &handle_of(info)->names, (size_t)offset, .plus = false,
                              .detail = DETAIL_NAMES};

    reply_listing(request, &listing, size);
}

static void answer_readdirplus(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                               struct fuse_file_info *info)
{
    const struct handle *handle = handle_of(info);
    struct listing listing = {node, &handle->names, (size_t)offset, .plus = true,
                              .detail = handle->detail};

    reply_listing(request, &listing, size);
}

/* Answers a question for bytes by what there is, or by its size where SIZE is 0. */
static void reply_bytes(fuse_req_t request, int r, const char *bytes, size_t size, size_t there)
{
    if (r < 0)
        reply_error(request, r);
    else if (size == 0)
        fuse_reply_xattr(request, there);
    else
        fuse_reply_buf(request, bytes, there);
}

static void answer_getxattr(fuse_req_t request, fuse_ino_t node, const char *name, size_t size)
{
    struct mounted *mounted = mounted_of(request);
    cleanup_free char *path = NULL, *value = malloc(size + 1);
    size_t there = 0;

    int r = value ? nodes_path(mounted->nodes, node, NULL, &path) : -ENOMEM;
    if (r == 0)
        r = mounted->view->operations->get_xattr(mounted->view, path, name, value, size, &there);
    reply_bytes(request, r, value, size, there);
}

static void answer_listxattr(fuse_req_t request, fuse_ino_t node, size_t size)
{
    struct mounted *mounted = mounted_of(request);
    cleanup_free char *path = NULL, *names = malloc(size + 1);
    size_t there = 0;

    int r = names ? nodes_path(mounted->nodes, node, NULL, &path) : -ENOMEM;
    if (r == 0)
        r = mounted->view->operations->list_xattr(mounted->view, path, names, size, &there);
    reply_bytes(request, r, names, size, there);
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

const struct fuse_lowlevel_ops *mount_operations(void)
{
    static struct fuse_lowlevel_ops operations = {
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
        .getxattr = answer_getxattr,
        .listxattr = answer_listxattr,
    };

    refuse_writes(&operations);
    return &operations;
}
