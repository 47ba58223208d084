/* SPDX-License-Identifier: MIT */
#include "engine/speed.h"

#include "base/buffer.h"
#include "share/block.h"
#include "share/interpolation.h"
#include "share/stripe.h"

#include <pthread.h>
#include <time.h>

enum {
    CACHE_SIZE = 256 * 1024, /* what the second level of cache has at least, of any core now */
    LINE_SIZE = 64,
    RUNS = 16, /* between two looks at the clock, so that these cost nothing */
};

/* What one thread works on. */
struct bench {
    const struct speed_settings *settings;
    enum speed_kind kind;
    struct buffer source, shares; /* the stripe, or pieces; and n blocks */
    uint8_t *blocks[CODE_SHARES_MAX];
    uint8_t indices[CODE_SHARES_MAX];
    const uint8_t *pieces[CODE_REQUIRED_MAX];
    struct encoder *encoder;
    struct interpolation *interpolation; /* NULL where n is k */
};

/* A thread, and how it went. */
struct runner {
    pthread_t id;
    struct bench bench;
    int result;
    double rate;
};

size_t speed_piece_size(const struct speed_settings *settings)
{
    size_t size = (size_t)CACHE_SIZE / settings->count / LINE_SIZE * LINE_SIZE;

    return size < settings->layout.block_size ? size : settings->layout.block_size;
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int make_code(struct bench *bench)
{
    const struct speed_settings *settings = bench->settings;
    unsigned required = settings->layout.required;

    int r = encoder_new(&settings->layout, settings->count, bench->indices, &bench->encoder);
    if (r == 0 && settings->count > required)
        r = interpolation_new(required, bench->indices, settings->count - required,
                              bench->indices + required, &bench->interpolation);
    return r;
}

static void share_out(struct bench *bench)
{
    const struct share_layout *layout = &bench->settings->layout;
    size_t piece = speed_piece_size(bench->settings), block = layout_full_block_size(layout);

    for (unsigned i = 0; i < bench->settings->count; i++) {
        bench->indices[i] = (uint8_t)i;
        bench->blocks[i] = bench->shares.data + i * (bench->kind == SPEED_CODE ? piece : block);
    }
    for (unsigned p = 0; p < layout->required; p++)
        bench->pieces[p] = bench->source.data + p * piece;
}

/* Content that is no special case for anything, and shares of it. */
static int bench_begin(struct bench *bench)
{
    const struct share_layout *layout = &bench->settings->layout;
    size_t source = layout_full_stripe_size(layout);

    int r = buffer_take(source, &bench->source);
    if (r == 0)
        r = buffer_take(bench->settings->count * layout_full_block_size(layout), &bench->shares);
    if (r < 0)
        return r;
    for (size_t i = 0; i < source; i++)
        bench->source.data[i] = (uint8_t)(i * 2654435761u >> 13);
    share_out(bench);
    r = make_code(bench);
    if (r == 0 && bench->kind == SPEED_DECODE)
        r = encoder_run(bench->encoder, 0, bench->source.data, bench->blocks);
    return r;
}

static void bench_end(struct bench *bench)
{
    if (bench->encoder)
        encoder_free(bench->encoder);
    if (bench->interpolation)
        interpolation_free(bench->interpolation);
    buffer_give(&bench->source);
    buffer_give(&bench->shares);
}

static void run_hash(const struct bench *bench)
{
    uint8_t ret[HASH_SIZE];
    size_t size = speed_piece_size(bench->settings);

    for (unsigned p = 0; p < bench->settings->layout.required; p++)
        hash(bench->pieces[p], size, p, ret);
}

/* As a reader of restored files does: every block is verified, and then what comes of them. */
static int run_decode(const struct bench *bench)
{
    const struct share_layout *layout = &bench->settings->layout;
    unsigned first = bench->settings->count - layout->required;

    for (unsigned i = first; formats[layout->format]->has_checks && i < bench->settings->count;
         i++) {
        if (!block_is_intact(bench->blocks[i], layout_payload_size(layout, 0), 0, (uint8_t)i))
            return -EBADMSG;
    }
    return stripe_decode(layout, 0, bench->indices + first,
                         (const uint8_t *const *)bench->blocks + first, bench->source.data);
}

static int run_once(struct bench *bench)
{
    switch (bench->kind) {
    case SPEED_CODE:
        if (bench->interpolation)
            interpolation_run(bench->interpolation, speed_piece_size(bench->settings),
                              bench->pieces, bench->blocks + bench->settings->layout.required);
        return 0;
    case SPEED_HASH:
        run_hash(bench);
        return 0;
    case SPEED_ENCODE:
        return encoder_run(bench->encoder, 0, bench->source.data, bench->blocks);
    default:
        return run_decode(bench);
    }
}

/* Bytes of source that one run is for. */
static size_t run_size(const struct bench *bench)
{
    if (bench->kind == SPEED_CODE || bench->kind == SPEED_HASH)
        return bench->settings->layout.required * speed_piece_size(bench->settings);
    return layout_full_stripe_size(&bench->settings->layout);
}

static int run_for_a_while(struct bench *bench, double *ret)
{
    double began = now(), took;
    size_t bytes = 0;

    do {
        for (unsigned i = 0; i < RUNS; i++) {
            int r = run_once(bench);
            if (r < 0)
                return r;
        }
        bytes += RUNS * run_size(bench);
        took = now() - began;
    } while (took < bench->settings->seconds);
    *ret = (double)bytes / took;
    return 0;
}

static void *run_measured(void *opaque)
{
    struct runner *runner = opaque;

    runner->result = bench_begin(&runner->bench);
    if (runner->result == 0)
        runner->result = run_for_a_while(&runner->bench, &runner->rate);
    bench_end(&runner->bench);
    return NULL;
}

int speed_measure(enum speed_kind kind, const struct speed_settings *settings, double *ret)
{
    cleanup_free struct runner *runners = calloc(settings->threads, sizeof *runners);
    unsigned started = 0;
    double rate = 0;
    int r = runners ? 0 : -ENOMEM;

    for (; r == 0 && started < settings->threads; started += r == 0) {
        runners[started].bench = (struct bench){.settings = settings, .kind = kind};
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
