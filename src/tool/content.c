/* SPDX-License-Identifier: MIT */
#include "tool/content.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/zeros.h"
#include "share/hash.h"
#include "stripe/encode.h"

#include <fcntl.h>
#include <string.h>

/* What is done with the bytes that belong at OFFSET of a file. */
typedef int take_bytes(struct new_file *file, uint64_t offset, const uint8_t *data, size_t size);

/* One pass over a file. */
struct pass {
    struct source_file *source;
    struct share_layout layout; /* of shares as they are made here */
    struct new_file *files;
    size_t count;
    take_bytes *take;
    bool skips_zeros;
    bool holes;               /* in place of stripes that cannot be read */
    struct encoder *encoder;  /* NULL: no shares are wanted */
    struct new_file **shares; /* those of FILES that are shares */
    struct buffer *blocks;    /* one for each of these, with the header before block 0 */
    size_t share_count;
    struct buffer stripe;
};

static void end_pass(struct pass *pass)
{
    for (size_t i = 0; pass->blocks && i < pass->share_count; i++)
        buffer_give(&pass->blocks[i]);
    buffer_give(&pass->stripe);
    free(pass->blocks);
    free(pass->shares);
    if (pass->encoder)
        encoder_free(pass->encoder);
}

static int prepare_shares(struct pass *pass)
{
    size_t room = HEADER_SIZE_MAX + layout_full_block_size(&pass->layout);
    uint8_t indices[256];

    pass->shares = calloc(pass->count, sizeof(struct new_file *));
    pass->blocks = calloc(pass->count, sizeof(struct buffer));
    if (!pass->shares || !pass->blocks)
        return -ENOMEM;
    for (size_t i = 0; i < pass->count; i++) {
        if (pass->files[i].target->share == TARGET_WHOLE)
            continue;
        indices[pass->share_count] = (uint8_t)pass->files[i].target->share;
        pass->shares[pass->share_count++] = &pass->files[i];
    }
    if (layout_stripes(&pass->layout) > 0)
        room = HEADER_SIZE_MAX + layout_block_size(&pass->layout, 0);
    for (size_t i = 0; i < pass->share_count; i++) {
        int r = buffer_take(room, &pass->blocks[i]);
        if (r < 0)
            return r;
    }
    return pass->share_count > 0 && pass->layout.source_size > 0
               ? encoder_new(&pass->layout, (unsigned)pass->share_count, indices, &pass->encoder)
               : 0;
}

static int begin_pass(struct pass *pass)
{
    int r = 0;

    pass->layout = header_plain_layout(&pass->source->header);
    if (pass->layout.source_size > 0)
        r = buffer_take(layout_payload_size(&pass->layout, 0) * pass->layout.required,
                        &pass->stripe);
    return r < 0 ? r : prepare_shares(pass);
}

static void take(const struct pass *pass, struct new_file *file, uint64_t offset,
                 const uint8_t *data, size_t size)
{
    if (file->result == 0)
        file->result = pass->take(file, offset, data, size);
}

/* Blocks stand behind the room for the header, so that it and block 0 are one piece. */
static uint8_t *block_of(const struct pass *pass, size_t share)
{
    return pass->blocks[share].data + HEADER_SIZE_MAX;
}

/* The block, of which SIZE bytes were made, with the header if it is the first. */
static void take_block(const struct pass *pass, size_t share, uint64_t stripe, size_t size)
{
    struct new_file *file = pass->shares[share];
    uint8_t header[HEADER_SIZE_MAX], *start = block_of(pass, share);
    size_t header_size = 0;

    if (stripe == 0) {
        header_size = target_file_header(file->target, &pass->source->header, header);
        start -= header_size;
        memcpy(start, header, header_size);
    }
    take(pass, file, stripe == 0 ? 0 : layout_block_offset(&pass->layout, stripe), start,
         header_size + size);
}

static int make_blocks(const struct pass *pass, uint64_t stripe, bool zeros)
{
    uint8_t *blocks[256];

    for (size_t i = 0; i < pass->share_count; i++)
        blocks[i] = block_of(pass, i);
    int r = zeros ? encoder_run_zeros(pass->encoder, stripe, blocks)
                  : encoder_run(pass->encoder, stripe, pass->stripe.data, blocks);
    for (size_t i = 0; r == 0 && i < pass->share_count; i++)
        take_block(pass, i, stripe, layout_block_size(&pass->layout, stripe));
    return r;
}

/* The stripe itself, NULL for zeros: of these there is nothing to write. */
static void take_whole(const struct pass *pass, uint64_t stripe, const uint8_t *data)
{
    uint64_t offset = stripe * layout_full_stripe_size(&pass->layout);
    size_t size = layout_stripe_size(&pass->layout, stripe);

    for (size_t i = 0; i < pass->count; i++) {
        struct new_file *file = &pass->files[i];
        if (file->target->share != TARGET_WHOLE)
            continue;
        if (data || !pass->skips_zeros)
            take(pass, file, offset, data ? data : zeros(), size);
        else
            file->has_holes = true;
    }
}

static int run_stripe(const struct pass *pass, uint64_t stripe)
{
    struct source_file *source = pass->source;
    bool hole = source->operations->is_hole &&
                pass->source->status.st_blocks < pass->source->status.st_size / 512 &&
                source->operations->is_hole(source, stripe);
    int r =
        hole ? SOURCE_ZEROS : source->operations->read_stripe(source, stripe, pass->stripe.data);

    if (r < 0 && r != -ENOMEM && pass->holes) {
        take_whole(pass, stripe, NULL);
        return 1;
    }
    if (r < 0)
        return r;
    take_whole(pass, stripe, r == SOURCE_ZEROS ? NULL : pass->stripe.data);
    return pass->encoder ? make_blocks(pass, stripe, r == SOURCE_ZEROS) : 0;
}

static int run_pass(struct pass *pass, const struct progress *progress)
{
    int bad = 0;

    int r = begin_pass(pass);
    uint64_t stripes = layout_stripes(&pass->layout);
    for (uint64_t stripe = 0; r >= 0 && stripe < stripes; stripe++) {
        r = atomic_load(&progress->stop) ? -ECANCELED : run_stripe(pass, stripe);
        bad += r > 0 && bad < INT16_MAX;
    }
    for (size_t i = 0; r >= 0 && stripes == 0 && i < pass->share_count; i++)
        take_block(pass, i, 0, 0); /* an empty file's share is a header */
    end_pass(pass);
    return r < 0 ? r : bad;
}

/* What all pieces that were written come to, one after the other. */
static void add_written(struct new_file *file, const uint8_t *data, size_t size)
{
    uint8_t sum[HASH_SIZE];

    hash(data, size, file->written, sum);
    file->written = load_le64(sum);
}

static int write_bytes(struct new_file *file, uint64_t offset, const uint8_t *data, size_t size)
{
    add_written(file, data, size);
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

static int end_with_hole(const struct new_file *file, uint64_t size)
{
    return file->has_holes && ftruncate(file->fd, (off_t)size) < 0 ? -errno : 0;
}

int content_write(struct source_file *file, struct new_file files[], size_t count, bool holes,
                  const struct progress *progress)
{
    struct pass pass = {
        .source = file,
        .files = files,
        .count = count,
        .take = write_bytes,
        .skips_zeros = true,
        .holes = holes,
    };

    int r = run_pass(&pass, progress);
    for (size_t i = 0; r >= 0 && i < count; i++) {
        if (files[i].result == 0)
            files[i].result = end_with_hole(&files[i], file->header.layout.source_size);
    }
    return r;
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

int content_compare(struct source_file *file, struct new_file files[], size_t count,
                    const struct progress *progress)
{
    struct pass pass = {.source = file, .files = files, .count = count, .take = compare_bytes};

    return run_pass(&pass, progress);
}

void content_reread(const struct source_file *file, struct new_file *written)
{
    struct new_file again = {.target = written->target, .fd = written->fd};
    struct share_layout layout = header_plain_layout(&file->header);
    uint64_t end = layout_share_size(&layout), at = 0;
    cleanup_buffer struct buffer piece = NO_BUFFER;

    if (fdatasync(written->fd) < 0) {
        written->result = -errno;
        return;
    }
    posix_fadvise(written->fd, 0, 0,
                  POSIX_FADV_DONTNEED); /* where it stays, it is compared there */
    int r = buffer_take(HEADER_SIZE_MAX + layout_full_block_size(&layout), &piece);
    while (r == 0 && at < end) {
        uint64_t stripe = at == 0 ? 0 : (at - layout.header_size) / layout_full_block_size(&layout);
        size_t size = layout_stripes(&layout) > 0 ? layout_block_size(&layout, stripe) : 0;
        size += at == 0 ? (size_t)layout.header_size : 0;
        r = read_bytes(written->fd, at, piece.data, size);
        if (r == 0)
            add_written(&again, piece.data, size);
        at += size;
    }
    written->result = r < 0 ? r : again.written == written->written ? 0 : -EBADMSG;
}
