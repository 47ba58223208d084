/* SPDX-License-Identifier: MIT */
/*
 * The content of one file for several targets: it is read once, stripe by stripe, several parts at
 * a time, and each stripe becomes a block of each share that is wanted, or is taken as it is.
 */
#include "engine/item.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/holes.h"
#include "base/io.h"
#include "base/zeros.h"
#include "share/block.h"
#include "share/stripe.h"

#include <fcntl.h>

enum {
    PART_BYTES = 8 << 20,  /* of the file, that one thread reads at a time */
    TAKEN_BYTES = 1 << 20, /* of an earlier one */
};

/* A run under way. */
struct passing {
    const struct item *item;
    struct source_file *source;
    bool compares, holes;       /* as content_run has them */
    bool reread;                /* once shares are written */
    struct share_layout layout; /* of shares as they are made here */
    struct slot *shares[256];   /* the slots that are shares */
    size_t share_count;
    struct encoder *encoder; /* NULL: no blocks are wanted */
    uint64_t part;           /* stripes */
    atomic_int error;
    atomic_int bad;                /* stripes that were left out */
    atomic_uint_fast64_t reported; /* bytes that the progress knows of */
};

/* What each thread needs for itself. */
struct room {
    struct buffer stripe;
    struct buffer blocks; /* of all shares */
    size_t block_room;    /* of one, with the header before it */
};

static void clear_room(struct room *room)
{
    buffer_give(&room->blocks);
    buffer_give(&room->stripe);
}

static int make_room(const struct passing *passing, struct room *room)
{
    const struct share_layout *layout = &passing->layout;
    bool empty = layout->source_size == 0;
    int r = 0;

    room->block_room = KEY_SHARE_SIZE + (empty ? 0 : layout_block_size(layout, 0));
    if (passing->share_count > 0)
        r = buffer_take(passing->share_count * room->block_room, &room->blocks);
    if (r == 0 && !empty)
        r = buffer_take(layout_payload_size(layout, 0) * layout->required, &room->stripe);
    return r;
}

/* Adds to the sum of all pieces that were written, in any order. */
static void add_written(atomic_uint_fast64_t *written, uint64_t offset, const uint8_t *data,
                        size_t size)
{
    uint8_t sum[HASH_SIZE];

    hash(data, size, offset, sum);
    atomic_fetch_add(written, load_le64(sum));
}

/* SIZE bytes at OFFSET, all of them. */
static int read_bytes(int fd, uint64_t offset, uint8_t *data, size_t size)
{
    size_t got;
    int r = io_read(fd, offset, data, size, &got);

    return r == 0 && got < size ? -EBADMSG : r;
}

static int compare_bytes(int fd, uint64_t offset, const uint8_t *data, size_t size)
{
    cleanup_buffer struct buffer there = NO_BUFFER;

    int r = data ? buffer_take(size, &there) : -ENOMEM;
    if (r == 0)
        r = read_bytes(fd, offset, there.data, size);
    return r == 0 && memcmp(there.data, data, size) != 0 ? -EBADMSG : r;
}

/* Writes to a slot's new file. Zeros become holes, also where an earlier run had something. */
static int write_bytes(const struct copy_settings *settings, struct slot *slot, uint64_t offset,
                       const uint8_t *data, size_t size)
{
    bool left = false;

    if (!data)
        return -ENOMEM;
    if (settings->dense)
        return io_write(slot->fd, offset, data, size);
    int r = holes_write(slot->fd, offset, data, size, slot->earlier >= 0, &left);
    if (left)
        atomic_store(&slot->has_holes, true);
    return r;
}

/* Writes or compares SIZE bytes that belong at OFFSET, unless the slot has failed. */
static void take(const struct passing *passing, struct slot *slot, uint64_t offset,
                 const uint8_t *data, size_t size)
{
    int none = 0, r;

    if (atomic_load(&slot->result) < 0)
        return;
    if (passing->reread)
        add_written(&slot->written, offset, data, size);
    if (passing->compares)
        r = compare_bytes(slot->fd, offset, data, size);
    else
        r = write_bytes(passing->item->copy->settings, slot, offset, data, size);
    if (r < 0)
        atomic_compare_exchange_strong(&slot->result, &none, r);
}

static uint8_t *block_of(const struct room *room, size_t share)
{
    return room->blocks.data + share * room->block_room + KEY_SHARE_SIZE;
}

/* Takes the blocks, of which SIZE bytes each were made, with the header if they are the first. */
static void take_blocks(const struct passing *passing, const struct room *room, uint64_t stripe,
                        size_t size)
{
    for (size_t i = 0; i < passing->share_count; i++) {
        struct slot *slot = passing->shares[i];
        uint8_t header[KEY_SHARE_SIZE], *start = block_of(room, i);
        size_t header_size = 0;
        if (stripe == 0) {
            header_size = target_file_header(slot->target, &passing->source->header, header);
            start -= header_size;
            memcpy(start, header, header_size);
        }
        take(passing, slot, stripe == 0 ? 0 : layout_block_offset(&passing->layout, stripe), start,
             header_size + size);
    }
}

/* Writes or compares the stripe itself, DATA; NULL: it was left out. Known zeros need not be
 * looked at, in a new file that may have holes. */
static void take_whole(const struct passing *passing, uint64_t stripe, const uint8_t *data,
                       bool is_zeros)
{
    const struct item *item = passing->item;
    uint64_t offset = stripe * layout_full_stripe_size(&passing->layout);
    size_t size = layout_stripe_size(&passing->layout, stripe);
    bool writes_zeros = passing->compares || item->copy->settings->dense;

    for (struct slot *slot = item->slots; slot < item->end; slot++) {
        if (slot->fd < 0 || slot->target->share != TARGET_WHOLE)
            continue;
        if (is_zeros ? writes_zeros || slot->earlier >= 0 : data != NULL)
            take(passing, slot, offset, is_zeros ? zeros() : data, size);
        else
            atomic_store(&slot->has_holes, true);
    }
}

static int run_stripe(struct passing *passing, const struct room *room, uint64_t stripe)
{
    struct source_file *source = passing->source;
    uint8_t *blocks[256], *data = room->stripe.data, digest[HASH_SIZE];
    bool hole = source->operations->is_hole &&
                source->status.st_blocks < source->status.st_size / 512 &&
                source->operations->is_hole(source, stripe);

    int r = hole ? SOURCE_ZEROS : source->operations->read_stripe(source, stripe, data, digest);
    bool bad = r < 0 && r != -ENOMEM && passing->holes;
    if (r < 0 && !bad)
        return r;
    atomic_fetch_add(&passing->bad, bad);
    take_whole(passing, stripe, bad ? NULL : data, r == SOURCE_ZEROS);
    if (bad || !passing->encoder)
        return 0;
    for (size_t i = 0; i < passing->share_count; i++)
        blocks[i] = block_of(room, i);
    r = r == SOURCE_ZEROS ? encoder_run_zeros(passing->encoder, stripe, blocks)
                          : encoder_run(passing->encoder, stripe, data, digest, blocks);
    if (r == 0)
        take_blocks(passing, room, stripe, layout_block_size(&passing->layout, stripe));
    return r;
}

/* Runs part number NUMBER. Returns false once an error makes the rest needless. */
static bool run_stripes(void *context, uint64_t number)
{
    struct passing *passing = context;
    struct progress *progress = passing->item->copy->visit.progress;
    uint64_t first = number * passing->part, left = passing->source->present - first;
    uint64_t end = first + (left < passing->part ? left : passing->part);
    CLEANUP(clear_room) struct room room = {0};
    int none = 0;

    int r = atomic_load(&passing->error);
    if (r == 0)
        r = make_room(passing, &room);
    for (uint64_t stripe = first; r == 0 && stripe < end; stripe++)
        r = atomic_load(&progress->stop) ? -ECANCELED : run_stripe(passing, &room, stripe);
    if (r < 0) {
        atomic_compare_exchange_strong(&passing->error, &none, r);
        return false;
    }
    uint64_t bytes = (end - first) * layout_full_stripe_size(&passing->layout);
    atomic_fetch_add(&progress->ahead, bytes);
    atomic_fetch_add(&passing->reported, bytes);
    return true;
}

/* Returns as content_run, for errors of the source and of the encoder alone. */
static int run_all(struct passing *passing)
{
    uint64_t present = passing->source->present;
    uint64_t missing = layout_stripes(&passing->layout) - present;
    CLEANUP(clear_room) struct room room = {0};

    if (passing->layout.source_size == 0) { /* whose share is a header */
        int r = make_room(passing, &room);
        if (r == 0)
            take_blocks(passing, &room, 0, 0);
        return r;
    }
    if (missing > 0 && !passing->holes)
        return -EIO;
    if (present > 0)
        pool_each(passing->item->copy->visit.pool, (present - 1) / passing->part + 1, run_stripes,
                  passing);
    int r = atomic_load(&passing->error);
    return r < 0 ? r : atomic_load(&passing->bad) + (missing > 0);
}

/* Reads a share that was written again, in the same pieces. */
static int reread(const struct passing *passing, const struct slot *slot)
{
    const struct share_layout *layout = &passing->layout;
    uint64_t size = layout_share_size(layout), full = layout_full_block_size(layout);
    cleanup_buffer struct buffer piece = NO_BUFFER;
    atomic_uint_fast64_t again = 0;

    if (fdatasync(slot->fd) < 0)
        return -errno;
    /* What stays in memory all the same is compared there. */
    posix_fadvise(slot->fd, 0, 0, POSIX_FADV_DONTNEED);
    int r = buffer_take(KEY_SHARE_SIZE + full, &piece);
    for (uint64_t at = 0, end; r == 0 && at < size; at = end) {
        end = at + full + (at == 0 ? layout->header_size : 0);
        end = end < size ? end : size;
        r = read_bytes(slot->fd, at, piece.data, end - at);
        if (r == 0)
            add_written(&again, at, piece.data, end - at);
    }
    return r == 0 && again != atomic_load(&slot->written) ? -EBADMSG : r;
}

int content_run(const struct item *item, struct source_file *source, bool compares, bool holes)
{
    struct passing passing = {
        .item = item,
        .source = source,
        .compares = compares,
        .holes = holes,
        .reread = item->copy->settings->reread && !compares,
    };
    uint8_t indices[256];
    int r = 0;

    passing.layout = header_plain_layout(&source->header);
    for (struct slot *slot = item->slots; slot < item->end; slot++) {
        if (slot->fd < 0 || slot->target->share == TARGET_WHOLE)
            continue;
        indices[passing.share_count] = (uint8_t)slot->target->share;
        passing.shares[passing.share_count++] = slot;
    }
    uint64_t at_once = PART_BYTES / layout_full_stripe_size(&passing.layout);
    /* Each stripe of a distant file costs a round trip: many are read at once. */
    passing.part = at_once > 0 && !source->distant ? at_once : 1;
    if (passing.share_count > 0 && passing.layout.source_size > 0)
        r = encoder_new(&passing.layout, (unsigned)passing.share_count, indices, &passing.encoder);
    if (r == 0)
        r = run_all(&passing);
    atomic_fetch_sub(&item->copy->visit.progress->ahead, atomic_load(&passing.reported));
    if (passing.encoder)
        encoder_free(passing.encoder);
    for (struct slot *slot = item->slots; r >= 0 && slot < item->end; slot++) {
        if (slot->fd < 0 || slot->result < 0)
            continue;
        off_t size = (off_t)target_file_size(slot->target, &source->header);
        if ((slot->has_holes || r > 0) && ftruncate(slot->fd, size) < 0)
            slot->result = -errno;
        else if (passing.reread)
            slot->result = reread(&passing, slot);
    }
    return r;
}

int content_take_over(const struct copy_settings *settings, struct slot *slot)
{
    int from = slot->earlier;
    cleanup_buffer struct buffer piece = NO_BUFFER;
    off_t at = 0;
    size_t size;

    int r = buffer_take(TAKEN_BYTES, &piece);
    while (r == 0 && (at = lseek(from, at, SEEK_DATA)) >= 0) {
        off_t end = lseek(from, at, SEEK_HOLE);
        if (end < 0)
            return -errno;
        for (; r == 0 && at < end; at += (off_t)size) {
            size = end - at < TAKEN_BYTES ? (size_t)(end - at) : TAKEN_BYTES;
            r = read_bytes(from, (uint64_t)at, piece.data, size);
            if (r == 0)
                r = write_bytes(settings, slot, (uint64_t)at, piece.data, size);
        }
    }
    return r < 0 ? r : errno == ENXIO ? 0 : -errno; /* ENXIO: no more of it */
}

/* As the source reads a stripe, but with zeros where there are some. */
static int read_stripe(struct source_file *file, uint64_t stripe, uint8_t *data)
{
    uint8_t digest[HASH_SIZE];
    int r = file->operations->read_stripe(file, stripe, data, digest);

    if (r != SOURCE_ZEROS)
        return r;
    memset(data, 0, layout_stripe_size(&file->header.layout, stripe));
    return 0;
}

int content_is_same(struct source_file *a, struct source_file *b, const struct progress *progress)
{
    const struct share_layout *layout = &a->header.layout;
    cleanup_buffer struct buffer left = NO_BUFFER, right = NO_BUFFER;

    if (layout->source_size == 0)
        return 1;
    size_t room = layout_payload_size(layout, 0) * layout->required;
    int r = buffer_take(room, &left);
    if (r == 0)
        r = buffer_take(room, &right);
    for (uint64_t stripe = 0; r == 0 && stripe < layout_stripes(layout); stripe++) {
        if (atomic_load(&progress->stop))
            return -ECANCELED;
        r = read_stripe(a, stripe, left.data);
        if (r == 0)
            r = read_stripe(b, stripe, right.data);
        if (r == 0 && memcmp(left.data, right.data, layout_stripe_size(layout, stripe)) != 0)
            return 0;
    }
    return r < 0 ? r : 1;
}
