/* SPDX-License-Identifier: MIT */
#include "engine/content.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "share/block.h"

#include <fcntl.h>
#include <string.h>

/* What pieces that were written come to, in any order. */
static void add_written(struct new_file *file, uint64_t offset, const uint8_t *data, size_t size)
{
    uint8_t sum[HASH_SIZE];

    hash(data, size, offset, sum);
    atomic_fetch_add(&file->written, load_le64(sum));
}

static int write_bytes(struct new_file *file, uint64_t offset, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = pwrite(file->fd, data, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        data += n;
        offset += (size_t)n;
        size -= (size_t)n;
    }
    return 0;
}

static int write_and_sum(struct new_file *file, uint64_t offset, const uint8_t *data, size_t size)
{
    add_written(file, offset, data, size);
    return write_bytes(file, offset, data, size);
}

/* SIZE bytes at OFFSET, all of them. */
static int read_bytes(int fd, uint64_t offset, uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = pread(fd, data, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EBADMSG;
        data += n;
        offset += (size_t)n;
        size -= (size_t)n;
    }
    return 0;
}

static int compare_bytes(struct new_file *file, uint64_t offset, const uint8_t *data, size_t size)
{
    cleanup_buffer struct buffer there = NO_BUFFER;

    int r = data ? buffer_take(size, &there) : -ENOMEM;
    if (r == 0)
        r = read_bytes(file->fd, offset, there.data, size);
    return r < 0 ? r : memcmp(there.data, data, size) == 0 ? 0 : -EBADMSG;
}

/* Reads a share that was written again, piece by piece as a pass has them. */
static int reread(const struct source_file *file, const struct new_file *written)
{
    struct new_file again = {.target = written->target};
    struct share_layout layout = header_plain_layout(&file->header);
    uint64_t size = layout_share_size(&layout);
    cleanup_buffer struct buffer piece = NO_BUFFER;

    if (fdatasync(written->fd) < 0)
        return -errno;
    /* What stays in memory all the same is compared there. */
    posix_fadvise(written->fd, 0, 0, POSIX_FADV_DONTNEED);
    int r = buffer_take(HEADER_SIZE_MAX + layout_full_block_size(&layout), &piece);
    for (uint64_t at = 0, end; r == 0 && at < size; at = end) {
        end = pass_piece_end(&layout, at);
        r = read_bytes(written->fd, at, piece.data, end - at);
        if (r == 0)
            add_written(&again, at, piece.data, end - at);
    }
    if (r < 0)
        return r;
    return atomic_load(&again.written) == atomic_load(&written->written) ? 0 : -EBADMSG;
}

static int end_with_hole(const struct new_file *file, uint64_t size)
{
    return atomic_load(&file->has_holes) && ftruncate(file->fd, (off_t)size) < 0 ? -errno : 0;
}

int content_write(struct source_file *file, struct new_file files[], size_t count,
                  const struct content_settings *settings)
{
    const struct pass pass = {
        .source = file,
        .files = files,
        .count = count,
        .take = settings->reread ? write_and_sum : write_bytes,
        .skips_zeros = true,
        .skips_errors = settings->holes,
        .pool = settings->pool,
        .progress = settings->progress,
    };

    int r = pass_run(&pass);
    for (size_t i = 0; r >= 0 && i < count; i++) {
        if (files[i].result == 0)
            files[i].result = end_with_hole(&files[i], file->header.layout.source_size);
        if (files[i].result == 0 && settings->reread)
            files[i].result = reread(file, &files[i]);
    }
    return r;
}

int content_compare(struct source_file *file, struct new_file files[], size_t count,
                    const struct content_settings *settings)
{
    const struct pass pass = {
        .source = file,
        .files = files,
        .count = count,
        .take = compare_bytes,
        .pool = settings->pool,
        .progress = settings->progress,
    };

    return pass_run(&pass);
}
