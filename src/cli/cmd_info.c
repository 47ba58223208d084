/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include "base/buffer.h"
#include "base/io.h"
#include "base/log.h"
#include "cli/output.h"
#include "restore/damage.h"
#include "share/block.h"
#include "share/format.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* What was found in one file. */
struct looked {
    const char *path;
    struct stat status;
    struct share_header header;
    struct damage damage; /* blocks that are not what their checks say */
    bool size_wrong;
};

/* Only checked shares say whether they are intact. */
static int look_at_blocks(int fd, struct looked *looked)
{
    const struct share_layout *layout = &looked->header.layout;
    cleanup_buffer struct buffer block = NO_BUFFER;

    uint64_t stripes = layout_stripes(layout);
    uint64_t end = (uint64_t)looked->status.st_size / layout_full_block_size(layout) + 1;

    int r = buffer_take(layout_full_block_size(layout), &block);
    for (uint64_t stripe = 0; r == 0 && stripe < stripes && stripe < end; stripe++) {
        size_t size = layout_block_size(layout, stripe);
        size_t got;
        r = io_read(fd, layout_block_offset(layout, stripe), block.data, size, &got);
        if (r < 0)
            return r;
        if (got < size || !block_is_intact(block.data, layout_payload_size(layout, stripe), stripe,
                                           looked->header.index))
            damage_add(&looked->damage, stripe);
    }
    if (r == 0 && end < stripes)
        damage_add_end(&looked->damage, end, stripes - 1);
    return r;
}

static int inspect_file(const struct options *options, struct looked *looked)
{
    const struct encoding *encoding = &options->encoding;
    uint8_t header[HEADER_SIZE_MAX];
    cleanup_fd int fd = open(looked->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &looked->status) < 0)
        return -errno;
    if (!S_ISREG(looked->status.st_mode))
        return S_ISDIR(looked->status.st_mode) ? -EISDIR : -EINVAL;
    size_t size;
    int r = io_read(fd, 0, header, sizeof header, &size);
    if (r < 0)
        return r;
    uint64_t share_size = (uint64_t)looked->status.st_size;
    r = header_read(encoding->format, header, size, share_size, &looked->header);
    if (r < 0)
        return r;
    looked->size_wrong = share_size != layout_share_size(&looked->header.layout);
    return formats[encoding->format]->has_checks ? look_at_blocks(fd, looked) : 0;
}

static bool is_intact(const struct looked *looked)
{
    return looked->damage.count == 0 && !looked->size_wrong;
}

/* The source's time; "" where the format has none. */
static void show_mtime(const struct share_header *header, char text[64])
{
    int64_t seconds = header->mtime_ns / 1000000000, rest = header->mtime_ns % 1000000000;
    struct tm parts;

    text[0] = '\0';
    if (!formats[header->layout.format]->has_checks)
        return;
    if (rest < 0) {
        rest += 1000000000;
        seconds--;
    }
    time_t time = (time_t)seconds;
    if (gmtime_r(&time, &parts)) {
        size_t length = strftime(text, 40, "%Y-%m-%d %H:%M:%S", &parts);
        snprintf(text + length, 64 - length, ".%09lld UTC", (long long)rest);
    }
}

static void tell_range(const struct damage_range *range, uint64_t blocks)
{
    if (range->first == range->last)
        output_text(COLOUR_BAD, "    block %llu of %llu is damaged",
                    (unsigned long long)range->first, (unsigned long long)blocks);
    else
        output_text(COLOUR_BAD, "    blocks %llu to %llu of %llu are damaged",
                    (unsigned long long)range->first, (unsigned long long)range->last,
                    (unsigned long long)blocks);
}

static void tell_share(const struct looked *looked)
{
    const struct share_header *header = &looked->header;
    const struct share_layout *layout = &header->layout;
    bool checked = formats[layout->format]->has_checks;
    char time[64], blocks[64] = "";

    show_mtime(header, time);
    if (!formats[layout->format]->is_interleaved)
        snprintf(blocks, sizeof blocks, ", blocks of %u bytes", layout->block_size);
    output_text(is_intact(looked) ? COLOUR_NONE : COLOUR_BAD,
                "%s: share %02x, %u are enough; %s format%s; of a file of %llu bytes%s%s; %s",
                looked->path, header->index, layout->required, formats[layout->format]->name,
                blocks, (unsigned long long)layout->source_size, *time ? ", changed " : "", time,
                looked->damage.count > 0 ? "DAMAGED"
                : looked->size_wrong     ? "WRONG SIZE"
                : checked                ? "intact"
                                         : "has no checks");
    for (size_t i = 0; i < looked->damage.count; i++)
        tell_range(&looked->damage.ranges[i], layout_stripes(layout));
    if (looked->size_wrong)
        output_text(COLOUR_BAD, "    %llu bytes, and should have %llu",
                    (unsigned long long)looked->status.st_size,
                    (unsigned long long)layout_share_size(layout));
}

static void tell_share_json(const struct looked *looked)
{
    const struct share_header *header = &looked->header;
    const struct share_layout *layout = &header->layout;
    json_t *damaged = json_array();
    json_t *object = json_pack(
        "{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:b, s:b}", "kind", "share", "format",
        formats[layout->format]->name, "required", layout->required, "block_size",
        (json_int_t)layout->block_size, "size", (json_int_t)looked->status.st_size, "right_size",
        (json_int_t)layout_share_size(layout), "source_size", (json_int_t)layout->source_size,
        "checked", formats[layout->format]->has_checks, "intact", is_intact(looked));

    output_json_path(object, "path", looked->path);
    json_object_set_new(object, "share", json_sprintf("%02x", header->index));
    if (formats[layout->format]->has_checks)
        json_object_set_new(object, "source_mtime_ns", json_integer(header->mtime_ns));
    if (formats[layout->format]->has_total)
        json_object_set_new(object, "total", json_integer(header->total));
    for (size_t i = 0; i < looked->damage.count; i++)
        json_array_append_new(damaged,
                              json_pack("[I,I]", (json_int_t)looked->damage.ranges[i].first,
                                        (json_int_t)looked->damage.ranges[i].last));
    json_object_set_new(object, "damaged_blocks", damaged);
    output_json("info", object);
}

static enum exit_status run_one(const struct options *options, const char *path)
{
    struct looked looked = {.path = path};
    enum exit_status status = EXIT_STATUS_OK;

    int r = inspect_file(options, &looked);
    if (r == -EBADMSG || r == -EMEDIUMTYPE) {
        log_error("%s: has no intact header of a share (is --format right?)", path);
        status = EXIT_STATUS_DAMAGED;
    } else if (r < 0) {
        log_errno(r, "%s", path);
        status = EXIT_STATUS_FAILED;
    } else {
        if (output_is_json())
            tell_share_json(&looked);
        else
            tell_share(&looked);
        status = is_intact(&looked) ? EXIT_STATUS_OK : EXIT_STATUS_DAMAGED;
    }
    damage_clear(&looked.damage);
    return status;
}

enum exit_status info_command(struct options *options)
{
    enum exit_status worst = EXIT_STATUS_OK;

    if (options->word_count == 0) {
        log_error("info: give share files; see zfec-fs info --help");
        return EXIT_STATUS_USAGE;
    }
    for (size_t i = 0; i < options->word_count; i++) {
        enum exit_status status = run_one(options, options->words[i]);
        if (status > worst)
            worst = status;
    }
    return worst;
}
