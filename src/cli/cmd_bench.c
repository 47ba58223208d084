/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include "base/log.h"
#include "cli/output.h"
#include "engine/speed.h"

#include <string.h>

static const double SECONDS_EACH = 0.3, LINK = 0.125e9; /* bytes a second of a 1 Gbit/s link */

static const struct {
    const char *name, *text;
} kinds[SPEED_KINDS] = {
    [SPEED_CODE] = {"code", "code alone"},
    [SPEED_HASH] = {"hash", "hash alone"},
    [SPEED_ENCODE] = {"encode", "encode: all shares"},
    [SPEED_DECODE] = {"decode", "decode: from the last k"},
};

/* Measures and shows bytes of source per second for each kind; 0 if there is nothing to compute
 * because all shares are pieces. */
static int measure(struct speed_settings *settings, unsigned threads, double rates[SPEED_KINDS])
{
    const struct share_layout *layout = &settings->layout;

    settings->threads = threads;
    for (enum speed_kind kind = 0; kind < SPEED_KINDS; kind++) {
        bool pieces = kind == SPEED_CODE || kind == SPEED_HASH;
        if (kind == SPEED_CODE && settings->count <= layout->required)
            continue;
        int r = speed_measure(kind, settings, &rates[kind]);
        if (r < 0)
            return log_errno(r, "bench: %s", kinds[kind].name);
        size_t size = pieces ? speed_piece_size(settings) : layout->block_size;
        output_json("speed",
                    json_pack("{s:s, s:i, s:i, s:s, s:I, s:i, s:f}", "what", kinds[kind].name,
                              "required", layout->required, "count", (int)settings->count, "format",
                              formats[layout->format]->name, "piece_size", (json_int_t)size,
                              "threads", (int)threads, "bytes_per_second", rates[kind]));
    }
    return 0;
}

/* Makes keys for this run only. */
static int make_keys(struct seal_keys **ret)
{
    uint8_t master[KEY_SIZE];

    int r = seal_start();
    if (r == 0)
        r = seal_random(master, sizeof master);
    if (r == 0)
        r = seal_keys_new(master, ret);
    explicit_bzero(master, sizeof master);
    return r;
}

enum exit_status bench_command(struct options *options)
{
    const struct encoding *encoding = &options->encoding;
    struct speed_settings settings = {.count = encoding->shares, .seconds = SECONDS_EACH};
    cleanup_seal_keys struct seal_keys *keys = NULL;
    double one[SPEED_KINDS] = {0}, several[SPEED_KINDS] = {0};
    double *all = options->jobs > 1 ? several : one;

    if (options->word_count > 0)
        return log_as(EXIT_STATUS_USAGE,
                      "bench: takes no arguments but options; see zfec-fs bench --help");
    if (options_check_encoding(options) < 0)
        return EXIT_STATUS_USAGE;
    if (layout_new(encoding->format, encoding->required, encoding->shares, encoding->block_size,
                   (uint64_t)encoding->required * encoding->block_size, &settings.layout) < 0)
        return EXIT_STATUS_USAGE;
    if (formats[encoding->format]->is_sealed && make_keys(&keys) < 0)
        return log_as(EXIT_STATUS_FAILED, "bench: no key can be made");
    settings.keys = keys;
    if (measure(&settings, 1, one) < 0 ||
        (options->jobs > 1 && measure(&settings, options->jobs, several) < 0))
        return EXIT_STATUS_FAILED;
    output_text(COLOUR_NONE, "%u of %u shares, %s format, blocks of %u bytes; bytes of source:",
                settings.layout.required, settings.count, formats[settings.layout.format]->name,
                settings.layout.block_size);
    output_text(COLOUR_NONE, "%-26s %14s %10u threads", "", "one thread", options->jobs);
    for (enum speed_kind kind = 0; kind < SPEED_KINDS; kind++) {
        if (one[kind] > 0)
            output_text(COLOUR_NONE, "%-26s %12s/s %16s/s", kinds[kind].text,
                        show_bytes((uint64_t)one[kind]).text, show_bytes((uint64_t)all[kind]).text);
    }
    output_text(COLOUR_NONE,
                "A 1 Gbit/s link carries 0.125 GB/s: this machine encodes for %.1f such links, "
                "restores for %.1f.",
                all[SPEED_ENCODE] / LINK, all[SPEED_DECODE] / LINK);
    return EXIT_STATUS_OK;
}
