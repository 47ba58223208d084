/* SPDX-License-Identifier: MIT */
#include "engine/speed.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "share/block.h"
#include "share/interpolation.h"
#include "share/stripe.h"

#include <pthread.h>

enum {
    CACHE_SIZE = 256 * 1024, /* a size that fits the second level of cache of any core today */
    LINE_SIZE = 64,
    RUNS = 16, /* between two looks at the clock, so that these cost nothing */
};

/* A thread, its memory, and its result. */
struct runner {
    pthread_t id;
    const struct speed_settings *settings;
    enum speed_kind kind;
    struct buffer source, shares; /* the stripe, or pieces; and n blocks */
    uint8_t *blocks[CODE_SHARES_MAX];
    uint8_t indices[CODE_SHARES_MAX];
    const uint8_t *pieces[CODE_REQUIRED_MAX];
    struct encoder *encoder;
    struct interpolation *interpolation; /* NULL where n is k */
    struct seal_place place;             /* where stripes are sealed */
    uint8_t tag[HASH_SIZE];              /* of the stripe that shares were made of */
    int result;
    double rate;
};

size_t speed_piece_size(const struct speed_settings *settings)
{
    size_t size = (size_t)CACHE_SIZE / settings->count / LINE_SIZE * LINE_SIZE;

    return size < settings->layout.block_size ? size : settings->layout.block_size;
}

/* Sealed stripes are made in place, again and again: any content is as good. */
static int encode_once(struct runner *runner)
{
    const struct share_layout *layout = &runner->settings->layout;
    const bool sealed = runner->settings->keys;

    int r = sealed ? seal_stripe(&runner->place, 0, true, runner->source.data,
                                 layout_stripe_size(layout, 0), runner->tag)
                   : 0;
    return r < 0 ? r
                 : encoder_run(runner->encoder, 0, runner->source.data, sealed ? runner->tag : NULL,
                               runner->blocks);
}

/* Makes content that is no special case for anything, and shares of it. */
static int begin_runner(struct runner *runner)
{
    const struct share_layout *layout = &runner->settings->layout;
    unsigned count = runner->settings->count, required = layout->required;
    size_t source = layout_full_stripe_size(layout), block = layout_full_block_size(layout);
    size_t piece = speed_piece_size(runner->settings);

    int r = buffer_take(source, &runner->source);
    if (r == 0)
        r = buffer_take(count * block, &runner->shares);
    if (r < 0)
        return r;
    for (size_t i = 0; i < source; i++)
        runner->source.data[i] = (uint8_t)(i * 2654435761u >> 13);
    for (unsigned i = 0; i < count; i++) {
        runner->indices[i] = (uint8_t)i;
        runner->blocks[i] = runner->shares.data + i * (runner->kind == SPEED_CODE ? piece : block);
    }
    for (unsigned p = 0; p < required; p++)
        runner->pieces[p] = runner->source.data + p * piece;
    r = encoder_new(layout, count, runner->indices, &runner->encoder);
    if (r == 0 && count > required)
        r = interpolation_new(required, runner->indices, count - required,
                              runner->indices + required, &runner->interpolation);
    if (r == 0 && runner->settings->keys)
        runner->place = seal_place_of_file(runner->settings->keys, (uint8_t[PATH_ID_SIZE]){0});
    if (r == 0 && runner->kind == SPEED_DECODE)
        r = encode_once(runner);
    return r;
}

/* As a reader of restored files does: verifies every block, and then the decoded stripe. */
static int decode_once(const struct runner *runner)
{
    const struct share_layout *layout = &runner->settings->layout;
    unsigned count = runner->settings->count, first = count - layout->required;

    for (unsigned i = first; formats[layout->format]->has_checks && i < count; i++) {
        if (!block_is_intact(runner->blocks[i], layout_payload_size(layout, 0), 0, (uint8_t)i))
            return -EBADMSG;
    }
    int r = stripe_decode(layout, 0, runner->indices + first,
                          (const uint8_t *const *)runner->blocks + first, runner->source.data);
    if (r == 0 && runner->settings->keys)
        r = seal_open_stripe(&runner->place, 0, true, runner->source.data,
                             layout_stripe_size(layout, 0), runner->tag);
    return r;
}

static int run_once(struct runner *runner)
{
    size_t piece = speed_piece_size(runner->settings);
    unsigned required = runner->settings->layout.required;
    uint8_t sum[HASH_SIZE];

    switch (runner->kind) {
    case SPEED_CODE:
        if (runner->interpolation)
            interpolation_run(runner->interpolation, piece, runner->pieces,
                              runner->blocks + required);
        return 0;
    case SPEED_HASH:
        for (unsigned p = 0; p < required; p++)
            hash(runner->pieces[p], piece, p, sum);
        return 0;
    case SPEED_ENCODE:
        return encode_once(runner);
    default:
        return decode_once(runner);
    }
}

static void *run_measured(void *opaque)
{
    struct runner *runner = opaque;
    const struct speed_settings *settings = runner->settings;
    bool pieces = runner->kind == SPEED_CODE || runner->kind == SPEED_HASH;
    size_t size = pieces ? settings->layout.required * speed_piece_size(settings)
                         : layout_full_stripe_size(&settings->layout);
    size_t bytes = 0;
    double took;

    int r = begin_runner(runner);
    double began = clock_seconds();
    do {
        for (unsigned i = 0; r == 0 && i < RUNS; i++)
            r = run_once(runner);
        bytes += RUNS * size;
        took = clock_seconds() - began;
    } while (r == 0 && took < settings->seconds);
    runner->result = r;
    runner->rate = (double)bytes / took;
    if (runner->encoder)
        encoder_free(runner->encoder);
    if (runner->interpolation)
        interpolation_free(runner->interpolation);
    buffer_give(&runner->source);
    buffer_give(&runner->shares);
    return NULL;
}

int speed_measure(enum speed_kind kind, const struct speed_settings *settings, double *ret)
{
    cleanup_free struct runner *runners = calloc(settings->threads, sizeof *runners);
    unsigned started = 0;
    double rate = 0;
    int r = runners ? 0 : -ENOMEM;

    for (; r == 0 && started < settings->threads; started += r == 0) {
        runners[started] = (struct runner){.settings = settings, .kind = kind};
        r = -pthread_create(&runners[started].id, NULL, run_measured, &runners[started]);
    }
    for (unsigned i = 0; i < started; i++) {
        pthread_join(runners[i].id, NULL);
        if (runners[i].result < 0)
            r = runners[i].result;
        rate += runners[i].rate;
    }
    if (r == 0)
        *ret = rate;
    return r;
}
