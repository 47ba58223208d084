/* SPDX-License-Identifier: MIT */
#include "engine/pass.h"

#include "base/buffer.h"
#include "base/zeros.h"
#include "share/stripe.h"

#include <string.h>

enum {
    PART_BYTES = 8 << 20, /* of the file, that one thread reads at a time */
};

/* A pass under way. */
struct passing {
    const struct pass *pass;
    struct share_layout layout; /* of shares as they are made here */
    struct new_file **shares;   /* those of the files that are shares */
    size_t share_count;
    struct encoder *encoder; /* NULL: no blocks are wanted */
    uint64_t part;           /* stripes */
    uint64_t stripes;        /* that there may be something of */
    atomic_int error;
    atomic_int bad;                /* stripes that were skipped */
    atomic_uint_fast64_t reported; /* bytes that the progress knows of */
};

/* What each thread needs for itself. */
struct room {
    struct buffer stripe;
    struct buffer blocks; /* of all shares */
    size_t block_room;    /* of one, with the header before it */
};

static void end(struct passing *passing)
{
    struct progress *progress = passing->pass->progress;

    atomic_fetch_sub(&progress->ahead, atomic_load(&passing->reported));
    free(passing->shares);
    if (passing->encoder)
        encoder_free(passing->encoder);
}

static int begin(struct passing *passing)
{
    const struct pass *pass = passing->pass;
    uint8_t indices[256];

    passing->layout = header_plain_layout(&pass->source->header);
    passing->shares = calloc(pass->count, sizeof(struct new_file *));
    if (!passing->shares)
        return -ENOMEM;
    for (size_t i = 0; i < pass->count; i++) {
        if (pass->files[i].target->share == TARGET_WHOLE)
            continue;
        indices[passing->share_count] = (uint8_t)pass->files[i].target->share;
        passing->shares[passing->share_count++] = &pass->files[i];
    }
    uint64_t at_once = PART_BYTES / layout_full_stripe_size(&passing->layout);
    /* Each stripe of a file that is far away costs the time of the way: many are read at once. */
    passing->part = at_once > 0 && !pass->source->distant ? at_once : 1;
    return passing->share_count > 0 && passing->layout.source_size > 0
               ? encoder_new(&passing->layout, (unsigned)passing->share_count, indices,
                             &passing->encoder)
               : 0;
}

static void clear_room(struct room *room)
{
    buffer_give(&room->blocks);
    buffer_give(&room->stripe);
}

static int make_block_room(const struct passing *passing, struct room *room)
{
    const struct share_layout *layout = &passing->layout;
    size_t block_size = layout_stripes(layout) > 0 ? layout_block_size(layout, 0) : 0;
    int r = 0;

    room->block_room = HEADER_SIZE_MAX + block_size;
    if (passing->share_count > 0)
        r = buffer_take(passing->share_count * room->block_room, &room->blocks);
    if (r == 0 && layout->source_size > 0)
        r = buffer_take(layout_payload_size(layout, 0) * layout->required, &room->stripe);
    return r;
}

static uint8_t *block_of(const struct room *room, size_t share)
{
    return room->blocks.data + share * room->block_room + HEADER_SIZE_MAX;
}

static void take(const struct passing *passing, struct new_file *file, uint64_t offset,
                 const uint8_t *data, size_t size)
{
    int none = 0;

    if (atomic_load(&file->result) < 0)
        return;
    int r = passing->pass->take(file, offset, data, size);
    if (r < 0)
        atomic_compare_exchange_strong(&file->result, &none, r);
}

/* The block, of which SIZE bytes were made, with the header if it is the first. */
static void take_block(const struct passing *passing, const struct room *room, size_t share,
                       uint64_t stripe, size_t size)
{
    struct new_file *file = passing->shares[share];
    uint8_t header[HEADER_SIZE_MAX], *start = block_of(room, share);
    size_t header_size = 0;

    if (stripe == 0) {
        header_size = target_file_header(file->target, &passing->pass->source->header, header);
        start -= header_size;
        memcpy(start, header, header_size);
    }
    take(passing, file, stripe == 0 ? 0 : layout_block_offset(&passing->layout, stripe), start,
         header_size + size);
}

static int make_blocks(const struct passing *passing, const struct room *room, uint64_t stripe,
                       bool zeros)
{
    uint8_t *blocks[256];

    for (size_t i = 0; i < passing->share_count; i++)
        blocks[i] = block_of(room, i);
    int r = zeros ? encoder_run_zeros(passing->encoder, stripe, blocks)
                  : encoder_run(passing->encoder, stripe, room->stripe.data, blocks);
    for (size_t i = 0; r == 0 && i < passing->share_count; i++)
        take_block(passing, room, i, stripe, layout_block_size(&passing->layout, stripe));
    return r;
}

/* The stripe itself, NULL for zeros: of these there is nothing to write. */
static void take_whole(const struct passing *passing, uint64_t stripe, const uint8_t *data)
{
    const struct pass *pass = passing->pass;
    uint64_t offset = stripe * layout_full_stripe_size(&passing->layout);
    size_t size = layout_stripe_size(&passing->layout, stripe);

    for (size_t i = 0; i < pass->count; i++) {
        struct new_file *file = &pass->files[i];
        if (file->target->share != TARGET_WHOLE)
            continue;
        if (data || !pass->skips_zeros)
            take(passing, file, offset, data ? data : zeros(), size);
        else
            atomic_store(&file->has_holes, true);
    }
}

static int run_stripe(struct passing *passing, const struct room *room, uint64_t stripe)
{
    struct source_file *source = passing->pass->source;
    bool hole = source->operations->is_hole &&
                source->status.st_blocks < source->status.st_size / 512 &&
                source->operations->is_hole(source, stripe);
    int r =
        hole ? SOURCE_ZEROS : source->operations->read_stripe(source, stripe, room->stripe.data);

    if (r < 0 && r != -ENOMEM && passing->pass->skips_errors) {
        atomic_fetch_add(&passing->bad, 1);
        take_whole(passing, stripe, NULL);
        return 0;
    }
    if (r < 0)
        return r;
    take_whole(passing, stripe, r == SOURCE_ZEROS ? NULL : room->stripe.data);
    return passing->encoder ? make_blocks(passing, room, stripe, r == SOURCE_ZEROS) : 0;
}

static void report_pass(struct passing *passing, uint64_t first, uint64_t end)
{
    uint64_t bytes = (end - first) * layout_full_stripe_size(&passing->layout);

    atomic_fetch_add(&passing->pass->progress->ahead, bytes);
    atomic_fetch_add(&passing->reported, bytes);
}

/* Returns false once an error makes the rest needless. */
static bool run_blocks(void *context, uint64_t number)
{
    struct passing *passing = context;
    uint64_t stripes = passing->stripes, first = number * passing->part;
    uint64_t end = first + (stripes - first < passing->part ? stripes - first : passing->part);
    CLEANUP(clear_room) struct room room = {0};
    int none = 0;

    int r = atomic_load(&passing->error);
    if (r == 0)
        r = make_block_room(passing, &room);
    for (uint64_t stripe = first; r == 0 && stripe < end; stripe++) {
        r = atomic_load(&passing->pass->progress->stop) ? -ECANCELED
                                                        : run_stripe(passing, &room, stripe);
    }
    if (r < 0)
        atomic_compare_exchange_strong(&passing->error, &none, r);
    else
        report_pass(passing, first, end);
    return r == 0;
}

/* An empty file's share is a header. */
static int run_empty(const struct passing *passing)
{
    CLEANUP(clear_room) struct room room = {0};

    int r = make_block_room(passing, &room);
    for (size_t i = 0; r == 0 && i < passing->share_count; i++)
        take_block(passing, &room, i, 0, 0);
    return r;
}

int pass_run(const struct pass *pass)
{
    CLEANUP(end) struct passing passing = {.pass = pass};

    int r = begin(&passing);
    if (r < 0)
        return r;
    uint64_t stripes = layout_stripes(&passing.layout);
    if (stripes == 0)
        return run_empty(&passing);
    uint64_t missing = stripes - pass->source->present;
    if (missing > 0 && !pass->skips_errors)
        return -EIO;
    passing.stripes = pass->source->present;
    if (passing.stripes > 0)
        pool_each(pass->pool, (passing.stripes - 1) / passing.part + 1, run_blocks, &passing);
    r = atomic_load(&passing.error);
    return r < 0 ? r : atomic_load(&passing.bad) + (missing > 0);
}

uint64_t pass_piece_end(const struct share_layout *layout, uint64_t at)
{
    uint64_t size = layout_share_size(layout), full = layout_full_block_size(layout);
    uint64_t end = at < layout->header_size ? layout->header_size + full : at + full;

    return end < size ? end : size;
}
