/* SPDX-License-Identifier: MIT */
#include "mount/small_files.h"

#include "base/buffer.h"
#include "mount/lookup.h"

/* The most that is read of a file of which nothing may be wanted. */
enum { SMALL_MAX = 64 << 10 };

/* The kernel would wait for a page that is being read, and so for another thread of ours. */
static bool store(struct mounted *mounted, uint64_t node, const struct view_file *file,
                  uint8_t *data, bool forgotten)
{
    size_t size = (size_t)file->status.st_size;
    struct fuse_bufvec pages = FUSE_BUFVEC_INIT(size);

    if (!nodes_begin_giving(mounted->nodes, node, forgotten))
        return false;
    pages.buf[0].mem = data;
    bool given = fuse_lowlevel_notify_store(mounted->session, node, 0, &pages, 0) == 0;
    nodes_end_giving(mounted->nodes, node, given, file->content);
    return given;
}

void small_file_give(struct mounted *mounted, uint64_t node, struct handle *handle,
                     struct fuse_file_info *info)
{
    struct view_file *file = handle->file;
    cleanup_buffer struct buffer buffer = NO_BUFFER;
    size_t size = (size_t)file->status.st_size, done = 0;

    /* Far away, what is read for nothing costs more than a request. */
    if (!handle->has_pages || size == 0 || size > SMALL_MAX || lookup_is_slow(mounted) ||
        !nodes_wants_pages(mounted->nodes, node, !info->keep_cache))
        return;
    int r = buffer_take(size, &buffer);
    if (r == 0)
        r = file->operations->read(file, 0, size, buffer.data, &done);
    if (r < 0 || done < size || !store(mounted, node, file, buffer.data, !info->keep_cache))
        return;
    info->keep_cache = true;
    handle->read = true;
}
