/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include "base/buffer.h"
#include "base/io.h"
#include "base/log.h"
#include "base/times.h"
#include "cli/output.h"
#include "cli/set_id.h"
#include "seal/key_share.h"
#include "share/block.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* The result of one file. */
struct looked {
    const char *path;
    uint64_t size;
    struct share_header header;
    struct damage damage; /* blocks that do not match their checks */
};

/* Shows a node's part of the key of sealed shares, which has no header. */
static bool tell_key_share(const char *path)
{
    uint8_t bytes[KEY_SHARE_SIZE + 1];
    struct key_share share;
    size_t size;
    cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 || io_read(fd, 0, bytes, sizeof bytes, &size) < 0 ||
        key_share_read(bytes, size, &share) < 0)
        return false;
    output_text(COLOUR_NONE,
                "%s: the part of the key of share %02x, %u are enough; of the set %s, %s a "
                "passphrase; intact",
                path, share.index, share.required, id_text(share.set_id).text,
                share.has_passphrase ? "with" : "without");
    json_t *object =
        json_pack("{s:s, s:o, s:i, s:s, s:b, s:b}", "kind", "key", "share",
                  json_sprintf("%02x", share.index), "required", (int)share.required, "id",
                  id_text(share.set_id).text, "passphrase", share.has_passphrase, "intact", true);
    output_json_path(object, "path", path);
    output_json("info", object);
    explicit_bzero(&share, sizeof share);
    explicit_bzero(bytes, sizeof bytes);
    return true;
}

static int inspect_file(enum share_format format, struct looked *looked)
{
    const struct share_layout *layout = &looked->header.layout;
    cleanup_buffer struct buffer block = NO_BUFFER;
    uint8_t header[HEADER_SIZE_MAX];
    struct stat status;
    size_t size;
    cleanup_fd int fd = open(looked->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    looked->size = (uint64_t)status.st_size;
    int r = io_read(fd, 0, header, sizeof header, &size);
    if (r == 0)
        r = header_read(format, header, size, looked->size, &looked->header);
    if (r < 0 || !formats[format]->has_checks)
        return r;
    uint64_t stripes = layout_stripes(layout);
    uint64_t end = looked->size / layout_full_block_size(layout) + 1;
    r = buffer_take(layout_full_block_size(layout), &block);
    for (uint64_t stripe = 0; r == 0 && stripe < stripes && stripe < end; stripe++) {
        size_t wanted = layout_block_size(layout, stripe);
        r = io_read(fd, layout_block_offset(layout, stripe), block.data, wanted, &size);
        if (r < 0)
            return r;
        if (size < wanted || !block_is_intact(block.data, layout_payload_size(layout, stripe),
                                              stripe, looked->header.index))
            damage_add(&looked->damage, stripe);
    }
    if (r == 0 && end < stripes)
        damage_add_end(&looked->damage, end, stripes - 1);
    return r;
}

static void tell_text(const struct looked *looked, bool intact)
{
    const struct share_header *header = &looked->header;
    const struct share_layout *layout = &header->layout;
    const struct format *format = formats[layout->format];
    unsigned long long blocks = layout_stripes(layout), right = layout_share_size(layout);
    struct timespec changed = times_of_ns(header->mtime_ns);
    struct draft line = {0};
    char text[40] = "";
    struct tm parts;

    draft_add(&line, "%s: share %02x, %u are enough; %s format", looked->path, header->index,
              layout->required, format->name);
    if (!format->is_interleaved)
        draft_add(&line, ", blocks of %u bytes", layout->block_size);
    draft_add(&line, "; of a file of %llu bytes", (unsigned long long)layout->source_size);
    if (format->has_checks && gmtime_r(&changed.tv_sec, &parts)) {
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
        draft_add(&line, ", changed %s.%09ld UTC", text, changed.tv_nsec);
    }
    draft_add(&line, "; %s",
              looked->damage.count > 0 ? "DAMAGED"
              : looked->size != right  ? "WRONG SIZE"
              : format->has_checks     ? "intact"
                                       : "has no checks");
    output_draft(intact ? COLOUR_NONE : COLOUR_BAD, &line);
    for (size_t i = 0; i < looked->damage.count; i++) {
        unsigned long long first = looked->damage.ranges[i].first;
        unsigned long long last = looked->damage.ranges[i].last;
        if (first == last)
            output_text(COLOUR_BAD, "    block %llu of %llu is damaged", first, blocks);
        else
            output_text(COLOUR_BAD, "    blocks %llu to %llu of %llu are damaged", first, last,
                        blocks);
    }
    if (looked->size != right)
        output_text(COLOUR_BAD, "    %llu bytes, and should have %llu",
                    (unsigned long long)looked->size, right);
}

static void tell_json(const struct looked *looked, bool intact)
{
    const struct share_header *header = &looked->header;
    const struct share_layout *layout = &header->layout;
    const struct format *format = formats[layout->format];
    json_t *object =
        json_pack("{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:b, s:b, s:o, s:o*, s:o*, s:o}", "kind",
                  "share", "format", format->name, "required", layout->required, "block_size",
                  (json_int_t)layout->block_size, "size", (json_int_t)looked->size, "right_size",
                  (json_int_t)layout_share_size(layout), "source_size",
                  (json_int_t)layout->source_size, "checked", format->has_checks, "intact", intact,
                  "share", json_sprintf("%02x", header->index), "source_mtime_ns",
                  format->has_checks ? json_integer(header->mtime_ns) : NULL, "total",
                  format->has_total ? json_integer(header->total) : NULL, "damaged_blocks",
                  json_ranges(&looked->damage, true));
    output_json_path(object, "path", looked->path);
    output_json("info", object);
}

enum exit_status info_command(struct options *options)
{
    enum exit_status worst = EXIT_STATUS_OK;

    if (options->word_count == 0)
        return log_as(EXIT_STATUS_USAGE, "info: give share files; see zfec-fs info --help");
    for (size_t i = 0; i < options->word_count; i++) {
        struct looked looked = {.path = options->words[i]};
        enum exit_status status = EXIT_STATUS_OK;
        int r = inspect_file(options->encoding.format, &looked);
        if ((r == -EBADMSG || r == -EMEDIUMTYPE) && tell_key_share(looked.path))
            continue;
        bool no_header = r == -EBADMSG || r == -EMEDIUMTYPE;
        bool intact = r == 0 && looked.damage.count == 0 &&
                      looked.size == layout_share_size(&looked.header.layout);
        if (no_header)
            log_error("%s: has no intact header of a share (is --format right?)", looked.path);
        else if (r < 0)
            log_errno(r, "%s", looked.path);
        else if (options->json)
            tell_json(&looked, intact);
        else
            tell_text(&looked, intact);
        if (!intact)
            status = r < 0 && !no_header ? EXIT_STATUS_FAILED : EXIT_STATUS_DAMAGED;
        if (status > worst)
            worst = status;
        damage_clear(&looked.damage);
    }
    return worst;
}
