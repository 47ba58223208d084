/* SPDX-License-Identifier: MIT */
#include "mount/mounted.h"

#include "base/buffer.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/thread.h"
#include "tree/tree.h"
#include "view/status.h"

#include <string.h>

enum {
    ATTRIBUTES_ONLY = -1, /* an offset that stands for them, where the kernel is to forget */
    SMALL_MAX = 64 << 10, /* the most that is read of a file of which nothing may be wanted */
    DOTS = 2,             /* names that come first in a listing */
    NAMES_WORTH_A_THREAD = 32,
};

/* An inode number for names without attributes: entries of number 0 are skipped by readdir(3). */
static const ino_t INODE_UNKNOWN = 0xffffffff;

/*
 * Seconds that the kernel may keep what it was told: as long as libfuse's default, and less than
 * those of NFS and sshfs. Where answers take long, a listing's attributes should still be there
 * when the program that wanted the names comes to ask for them; but not those of a source, which is
 * edited.
 */
static const double KEPT_S = 1, KEPT_DISTANT_S = 20;

void handle_free(struct mounted *mounted, struct handle *handle)
{
    pthread_mutex_lock(&mounted->lock);
    LIST_REMOVE(handle, others);
    pthread_mutex_unlock(&mounted->lock);
    if (handle->file)
        view_close(handle->file);
    names_clear(&handle->names);
    free(handle);
}

/* Returns true if the answers of the view take long. */
static bool is_slow(const struct mounted *mounted)
{
    return atomic_load(&mounted->view->source->distant);
}

/* Returns true if what the view shows changes at once with what it is made from. */
static bool is_live(const struct mounted *mounted)
{
    return mounted->view->source->live;
}

static double names_kept_s(const struct mounted *mounted)
{
    return is_slow(mounted) ? KEPT_DISTANT_S : KEPT_S;
}

/* Returns for how many seconds the kernel may keep attributes; of the root, perhaps not as long. */
static double kept_s(const struct mounted *mounted)
{
    if (mounted->settings->attribute_timeout >= 0)
        return mounted->settings->attribute_timeout;
    return is_live(mounted) ? KEPT_S : names_kept_s(mounted);
}

/* Reads the status of NODE, or of NAME in it where NAME is not NULL. */
static int read_status(struct mounted *mounted, uint64_t node, const char *name, struct stat *ret)
{
    cleanup_free char *path = NULL;

    int r = nodes_path(mounted->nodes, node, name, &path);
    return r < 0 ? r : view_stat(mounted->view, path, ret);
}

/* Fills the entry of NAME in PARENT and counts it as looked up. */
static int look_up(struct mounted *mounted, uint64_t parent, const char *name,
                   struct fuse_entry_param *ret)
{
    static const double tick_s = 1e-6;
    struct fuse_entry_param entry = {0};
    uint64_t node;

    int r = read_status(mounted, parent, name, &entry.attr);
    if (r == 0)
        r = nodes_look_up(mounted->nodes, parent, name, status_version(&entry.attr), &node);
    if (r < 0)
        return r;
    mode_t mode = entry.attr.st_mode;
    double kept = kept_s(mounted);
    entry.ino = node;
    entry.entry_timeout = S_ISDIR(mode) ? names_kept_s(mounted) : kept;
    /*
     * Where attributes are not kept, stat(2) would ask for those of each file twice: the look-up
     * brings them, and then they are asked for. So they are kept for what is the shortest time to
     * the kernel, one tick. Who asks by name has the name looked up again, also within that time;
     * who asks by a descriptor must not see them, so that those of an open file are not kept.
     */
    bool by_name = S_ISLNK(mode) || (S_ISREG(mode) && !nodes_is_open(mounted->nodes, node));
    entry.attr_timeout = kept == 0 && by_name ? tick_s : kept;
    *ret = entry;
    return 0;
}

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

static void reply_bytes(fuse_req_t request, int r, const void *bytes, size_t size)
{
    if (r < 0)
        reply_error(request, r);
    else
        fuse_reply_buf(request, bytes, size);
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
    if (kept_s(mounted) > 0)
        wanted |= FUSE_CAP_READDIRPLUS;
    /* A slow look-up must not hold up the others in its directory. */
    wanted |= FUSE_CAP_PARALLEL_DIROPS;
    /* Access control lists can be seen in any case. Whether the kernel checks them, and modes, is
     * decided by this too; for each name that it looks up it then asks for the directory's. */
    if (mounted->settings->permissions_checked)
        wanted |= FUSE_CAP_POSIX_ACL;
#ifdef FUSE_CAP_DIRECT_IO_ALLOW_MMAP /* libfuse 3.17, Linux 6.6 */
    if (mounted->settings->pages_avoided)
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

    int r = look_up(mounted, parent, name, &entry);
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
    struct node_opened opened;

    int r = read_status(mounted, node, NULL, &status);
    if (r == 0 && node != NODE_ROOT &&
        !status_same_kind(nodes_version(mounted->nodes, node), status_version(&status)))
        r = -ESTALE; /* then the kernel looks the name up again */
    if (r < 0) {
        reply_error(request, r);
        return;
    }
    /*
     * What is open stays what it was, or fails to be read. With the size of another version the
     * kernel would cut it off, or fill it up with zeros, without asking. With the time of another
     * file that has taken its place, a copy of the old one would pass for the new one ever after;
     * so it would where the view is behind, and what it says is of another version anyway.
     */
    if (S_ISREG(status.st_mode) &&
        nodes_tell(mounted->nodes, node, status_version(&status), &opened)) {
        if ((uint64_t)status.st_size != opened.size)
            status_set_size(&status, opened.size);
        if (status.st_ino != opened.inode || mounted->view->source->is_behind)
            status.st_mtim = opened.mtime;
    }
    double kept = kept_s(mounted);
    if (node == NODE_ROOT && mounted->settings->permissions_checked && kept > KEPT_S)
        kept = KEPT_S; /* a store that comes may close it to others */
    fuse_reply_attr(request, &status, kept);
}

static void answer_readlink(fuse_req_t request, fuse_ino_t node)
{
    struct mounted *mounted = mounted_of(request);
    cleanup_free char *path = NULL, *target = NULL;

    int r = nodes_path(mounted->nodes, node, NULL, &path);
    if (r == 0)
        r = view_read_link(mounted->view, path, &target);
    if (r < 0)
        reply_error(request, r);
    else
        fuse_reply_readlink(request, target);
}

/*
 * Gives the pages of NODE to the kernel, where the file is small and the kernel may not have them:
 * that saves the request to read it. What does not succeed is left to be read as usual.
 *
 * Measured: without it, `cat` of 1500 restored files of 4 KiB takes 15 % more of the processors'
 * time, and 30 % longer.
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
    if (handle->pages < PAGES_DROPPED || size == 0 || size > SMALL_MAX || is_slow(mounted) ||
        !nodes_wants_pages(mounted->nodes, node, forgotten, false))
        return;
    int r = buffer_take(size, &buffer);
    if (r == 0)
        r = view_read(file, 0, size, buffer.data, &done);
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
 * Lets an opened file in by its node. -ESTALE where that is of another version, or another one is
 * open: then the kernel looks the name up again, and has this one by a node of its own.
 *
 * The pages that the kernel keeps of a node are those of the node's version. What is of another
 * version by now does without them. Where the view is not live they have to be of one content, too:
 * stores may have two of one version, and each open file gives but one. Where pages are avoided no
 * file has any, but those of its own private mappings.
 */
static int enter_file(struct mounted *mounted, uint64_t node, struct handle *handle, pid_t caller,
                      struct fuse_file_info *info)
{
    const struct stat *status = &handle->file->status;
    const struct node_file file = {
        status_version(status),
        {(uint64_t)status->st_size, status->st_ino, status->st_mtim},
        handle->file->content,
        caller,
        mounted->settings->pages_avoided,
    };

    int r = nodes_enter(mounted->nodes, node, &file, &handle->pages);
    if (r < 0)
        return r;
    info->direct_io = handle->pages < PAGES_DROPPED;
    info->keep_cache =
        handle->pages == PAGES_KEPT ||
        (handle->pages == PAGES_DROPPED && is_live(mounted) && status_is_settled(status));
    give_pages(mounted, node, handle, info);
    /* Where nothing is kept, the attributes of an open file are asked for, and those of what does
     * without pages: it may be of another version than the kernel was told. */
    if (info->direct_io || kept_s(mounted) == 0)
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
    struct handle *handle = calloc(1, sizeof *handle);
    cleanup_free char *path = NULL;

    if (!handle) {
        reply_error(request, -ENOMEM);
        return;
    }
    pthread_mutex_lock(&mounted->lock);
    LIST_INSERT_HEAD(&mounted->handles, handle, others);
    pthread_mutex_unlock(&mounted->lock);
    int r = nodes_path(mounted->nodes, node, NULL, &path);
    if (r == 0)
        r = is_directory ? view_list(mounted->view, path, &handle->names)
                         : view_open(mounted->view, path, &handle->file);
    if (r == 0 && is_directory)
        handle->detail = is_slow(mounted) ? DETAIL_ALL : interest_in_listing(&mounted->interest);
    else if (r == 0)
        r = enter_file(mounted, node, handle, fuse_req_ctx(request)->pid, info);
    info->fh = (uintptr_t)handle;
    if (r == 0 && fuse_reply_open(request, info) == 0)
        return;
    if (r < 0)
        reply_error(request, r);
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
    size_t done = 0;

    if (handle->pages >= PAGES_DROPPED && !atomic_exchange(&handle->read, true))
        nodes_note_pages(mounted_of(request)->nodes, node, file->content);
    int r = buffer_take(size > 0 ? size : 1, &buffer);
    if (r == 0)
        r = view_read(file, (uint64_t)offset, size, buffer.data, &done);
    reply_bytes(request, r, buffer.data, done);
}

static void answer_lseek(fuse_req_t request, fuse_ino_t node, off_t offset, int whence,
                         struct fuse_file_info *info)
{
    uint64_t found = 0;

    /* ENOSYS is for the whole mount: the kernel does not ask again, and takes all for data. */
    int r = view_seek(handle_of(info)->file, (uint64_t)offset, whence, &found);
    if (r < 0)
        reply_error(request, r);
    else
        fuse_reply_lseek(request, (off_t)found);
}

/* The names of a directory that one request has room for, and their look-ups under way. */
struct listing {
    struct mounted *mounted;
    fuse_ino_t node;
    const struct names *names; /* in it; "." and ".." come before them */
    size_t offset;             /* the number of the one to begin with */
    bool plus;                 /* with attributes: those names count as looked up */
    enum detail detail;        /* which of them have attributes, or are looked at */
    size_t count;              /* of the names that there is room for */
    size_t left_out;           /* that has no attributes though they are asked for; COUNT: none */
    struct fuse_entry_param *entries;
    atomic_size_t next; /* that no one looks up yet */
};

/* Adds the name at PLACE to DATA. Returns the bytes that it takes, also if SIZE is less. */
static size_t add_name(fuse_req_t request, const struct listing *listing, size_t place,
                       const struct fuse_entry_param *entry, char *data, size_t size)
{
    size_t at = listing->offset + place;
    off_t next = (off_t)at + 1;
    const char *name = at == 0 ? "." : at == 1 ? ".." : names_get(listing->names, at - DOTS);

    return listing->plus ? fuse_add_direntry_plus(request, data, size, name, entry, next)
                         : fuse_add_direntry(request, data, size, name, &entry->attr, next);
}

/* What is known of the name at PLACE; NULL where that is nothing, or not all that is wanted. */
static const struct listed *known_of(const struct listing *listing, size_t place)
{
    static const struct listed dot = {.kind = S_IFDIR, .inode = NODE_ROOT};
    size_t at = listing->offset + place;

    if (at < DOTS)
        return &dot;
    const struct listed *name = &listing->names->items[at - DOTS];
    bool enough = place == listing->left_out ||
                  (listing->detail == DETAIL_NAMES && !(listing->plus && S_ISDIR(name->kind)));
    return name->kind != 0 && enough ? name : NULL;
}

static void look_up_next(void *opaque)
{
    struct listing *listing = opaque;
    /* Where manifests describe names, their kinds are not those of what the stores have. */
    const bool is_seen = !listing->mounted->view->source->described;
    size_t place;

    tree_stay_nearby();
    while ((place = atomic_fetch_add(&listing->next, 1)) < listing->count) {
        struct fuse_entry_param *entry = &listing->entries[place];
        const struct listed *known = known_of(listing, place);
        if (known) {
            entry->attr.st_mode = known->kind;
            entry->attr.st_ino = known->inode;
            continue;
        }
        const size_t at = listing->offset + place - DOTS;
        const char *name = names_get(listing->names, at);
        tree_expect(is_seen && S_ISREG(listing->names->items[at].kind));
        int r = listing->plus ? look_up(listing->mounted, listing->node, name, entry)
                              : read_status(listing->mounted, listing->node, name, &entry->attr);
        /* Where a name has no attributes to show (it is gone, or cannot be read) the name alone is
         * shown, and whoever looks it up hears why. */
        if (r < 0)
            *entry = (struct fuse_entry_param){.attr.st_ino = INODE_UNKNOWN};
    }
    tree_leave_nearby();
}

/*
 * How many threads the names are worth: what is far away is waited for; what is made from stores
 * at hand takes processors, and some of it longer than to start a thread. What the directory says
 * of its files is waited for once.
 */
static size_t threads_for(const struct listing *listing)
{
    const bool described = listing->mounted->view->source->described;
    size_t wanted = 0;

    for (size_t place = 0; place < listing->count; place++) {
        if (!known_of(listing, place))
            wanted +=
                !described || !S_ISREG(listing->names->items[listing->offset + place - DOTS].kind);
    }
    if (is_slow(listing->mounted))
        return wanted;
    if (is_live(listing->mounted) || wanted < NAMES_WORTH_A_THREAD)
        return 1;
    size_t worth = 1 + wanted / NAMES_WORTH_A_THREAD, processors = thread_processors();
    return worth < processors ? worth : processors;
}

/* Has interest.h leave a file out, where it wants one, at the beginning of a directory. */
static void leave_one_out(struct listing *listing)
{
    size_t place = DOTS;

    listing->left_out = listing->count;
    if (listing->detail != DETAIL_ALL_BUT_ONE || listing->offset > 0)
        return;
    while (place < listing->count && !S_ISREG(listing->names->items[place - DOTS].kind))
        place++;
    if (place < listing->count) {
        listing->left_out = place;
        interest_note_left_out(&listing->mounted->interest);
    }
}

static void reply_listing(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                          const struct fuse_file_info *info, bool plus)
{
    static const struct fuse_entry_param nothing;
    const struct handle *handle = handle_of(info);
    struct listing listing = {.mounted = mounted_of(request),
                              .node = node,
                              .names = &handle->names,
                              .offset = (size_t)offset,
                              .plus = plus,
                              .detail = plus ? handle->detail : DETAIL_NAMES};
    cleanup_buffer struct buffer buffer = NO_BUFFER;
    size_t needed = 0, filled = 0;

    for (; listing.offset + listing.count < handle->names.count + DOTS; listing.count++) {
        needed += add_name(request, &listing, listing.count, &nothing, NULL, 0);
        if (needed > size)
            break;
    }
    cleanup_free struct fuse_entry_param *entries = calloc(listing.count + 1, sizeof *entries);
    int r = entries ? buffer_take(size > 0 ? size : 1, &buffer) : -ENOMEM;
    if (r == 0) {
        listing.entries = entries;
        leave_one_out(&listing);
        team_run(NULL, threads_for(&listing), look_up_next, &listing);
    }
    for (size_t place = 0; r == 0 && place < listing.count; place++)
        filled += add_name(request, &listing, place, &entries[place], (char *)buffer.data + filled,
                           size - filled);
    reply_bytes(request, r, buffer.data, filled);
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
    cleanup_free char *path = NULL, *bytes = malloc(size + 1);
    size_t there = 0;

    int r = bytes ? nodes_path(mounted->nodes, node, NULL, &path) : -ENOMEM;
    if (r == 0)
        r = name ? view_get_xattr(mounted->view, path, name, bytes, size, &there)
                 : view_list_xattr(mounted->view, path, bytes, size, &there);
    if (r == 0 && size == 0)
        fuse_reply_xattr(request, there);
    else
        reply_bytes(request, r, bytes, there);
}

static void answer_listxattr(fuse_req_t request, fuse_ino_t node, size_t size)
{
    reply_xattr(request, node, NULL, size);
}

static void answer_statfs(fuse_req_t request, fuse_ino_t node)
{
    struct statvfs status;

    int r = view_statfs(mounted_of(request)->view, &status);
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
