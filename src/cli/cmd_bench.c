/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include "base/array.h"
#include "base/log.h"
#include "cli/output.h"
#include "engine/speed.h"

static const double SECONDS_EACH = 0.3, LINK = 0.125e9; /* bytes a second of a 1 Gbit/s link */

static const struct {
    const char *name, *text;
} kinds[SPEED_KINDS] = {
    [SPEED_CODE] = {"code", "code alone"},
    [SPEED_HASH] = {"hash", "hash alone"},
    [SPEED_ENCODE] = {"encode", "encode: all shares"},
    [SPEED_DECODE] = {"decode", "decode: from the last k"},
};

/* Of each kind, bytes of source in a second. */
struct rates {
    double of[SPEED_KINDS];
};

static int settings_of(const struct options *options, struct speed_settings *ret)
{
    const struct encoding *encoding = &options->encoding;

    if (encoding->shares < encoding->required) {
        log_error("bench: %u shares of which %u are enough: give -n at least as much as -k",
                  encoding->shares, encoding->required);
        return -EINVAL;
    }
    *ret = (struct speed_settings){.count = encoding->shares, .seconds = SECONDS_EACH};
    return layout_new(encoding->format, encoding->required, encoding->shares, encoding->block_size,
                      (uint64_t)encoding->required * encoding->block_size, &ret->layout);
}

/* Where all shares are pieces there is nothing to compute. */
static bool is_there(const struct speed_settings *settings, enum speed_kind kind)
{
    return kind != SPEED_CODE || settings->count > settings->layout.required;
}

static void tell_speed(const struct speed_settings *settings, enum speed_kind kind, double rate)
{
    const struct share_layout *layout = &settings->layout;
    size_t size =
        kind == SPEED_CODE || kind == SPEED_HASH ? speed_piece_size(settings) : layout->block_size;

    output_json("speed",
                json_pack("{s:s, s:i, s:i, s:s, s:I, s:i, s:f}", "what", kinds[kind].name,
                          "required", layout->required, "count", (int)settings->count, "format",
                          formats[layout->format]->name, "piece_size", (json_int_t)size, "threads",
                          (int)settings->threads, "bytes_per_second", rate));
}

static int measure(struct speed_settings *settings, unsigned threads, struct rates *rates)
{
    settings->threads = threads;
    for (unsigned kind = 0; kind < SPEED_KINDS; kind++) {
        if (!is_there(settings, kind))
            continue;
        int r = speed_measure(kind, settings, &rates->of[kind]);
        if (r < 0)
            return log_errno(r, "bench: %s", kinds[kind].name);
        tell_speed(settings, kind, rates->of[kind]);
    }
    return 0;
}

static void tell_rates(const struct speed_settings *settings, unsigned jobs,
                       const struct rates *one, const struct rates *all)
{
    output_text(COLOUR_NONE, "%u of %u shares, %s format, blocks of %u bytes; bytes of source:",
                settings->layout.required, settings->count, formats[settings->layout.format]->name,
                settings->layout.block_size);
    output_text(COLOUR_NONE, "%-26s %14s %10u threads", "", "one thread", jobs);
    for (unsigned kind = 0; kind < SPEED_KINDS; kind++) {
        if (is_there(settings, kind))
            output_text(COLOUR_NONE, "%-26s %12s/s %16s/s", kinds[kind].text,
                        show_bytes((uint64_t)one->of[kind]).text,
                        show_bytes((uint64_t)all->of[kind]).text);
    }
    output_text(COLOUR_NONE,
                "A 1 Gbit/s link carries 0.125 GB/s: this machine encodes %.1f links' worth, and "
                "restores %.1f.",
                all->of[SPEED_ENCODE] / LINK, all->of[SPEED_DECODE] / LINK);
}

enum exit_status bench_command(struct options *options)
{
    struct speed_settings settings;
    struct rates one = {0}, all;

    if (options->word_count > 0) {
        log_error("bench: takes no arguments but options; see zfec-fs bench --help");
        return EXIT_STATUS_USAGE;
    }
    if (settings_of(options, &settings) < 0)
        return EXIT_STATUS_USAGE;
    if (measure(&settings, 1, &one) < 0)
        return EXIT_STATUS_FAILED;
    all = one;
    if (options->jobs > 1 && measure(&settings, options->jobs, &all) < 0)
        return EXIT_STATUS_FAILED;
    tell_rates(&settings, options->jobs, &one, &all);
    return EXIT_STATUS_OK;
}
