/* SPDX-License-Identifier: MIT */
#include "view/encoded.h"

#include "base/buffer.h"
#include "base/log.h"
#include "share/stripe.h"
#include "view/ahead.h"
#include "view/status.h"
#include "view/stripe_cache.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct encoded_view {
    struct view view;
    struct source *source;
    unsigned shares;
};

struct encoded_file {
    struct view_file file;
    struct source_file *source;
    uint8_t header[HEADER_SIZE_MAX];
    struct share_layout layout; /* of the share that is shown: without extensions */
    struct encoder *encoder;
    struct stripe_cache *blocks; /* NULL for an empty file */
    struct ahead *ahead;         /* NULL where nothing is to be gained by it */
};

static void encoded_view_free(struct view *view)
{
    struct encoded_view *encoded = (struct encoded_view *)view;

    source_free(encoded->source);
    free(encoded);
}

/* The value of a lower-case hex digit, or -1. */
static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/*
 * Splits a path of the view, which is not its root, into the share's index and the path in the
 * source. -ENOENT where there is no such share.
 */
static int split_path(const struct encoded_view *encoded, const char *path, unsigned *ret_index,
                      const char **ret_path)
{
    int high = hex_digit(path[0]), low = high < 0 ? -1 : hex_digit(path[1]);

    if (high < 0 || low < 0 || (path[2] != '\0' && path[2] != '/'))
        return -ENOENT;
    unsigned index = (unsigned)(high * 16 + low);
    if (index >= encoded->shares)
        return -ENOENT;
    *ret_index = index;
    *ret_path = path[2] ? path + 3 : path + 2;
    return 0;
}

static int stat_root(const struct encoded_view *encoded, struct stat *ret)
{
    struct share_header header;

    int r = encoded->source->operations->stat(encoded->source, "", ret, &header, NULL, NULL);
    if (r < 0)
        return r;
    if (encoded->source->is_private) /* users who cannot get to the source must not get in */
        status_close(ret);
    ret->st_nlink = 2 + encoded->shares;
    ret->st_ino = status_inode(ret->st_dev, ret->st_ino, 256);
    return 0;
}

/* As share INDEX shows what the source has. */
static void show(unsigned index, const struct share_header *header, struct stat *status)
{
    if (S_ISREG(status->st_mode)) {
        struct share_layout layout = header_plain_layout(header);
        status_set_size(status, layout.required ? layout_share_size(&layout) : 0);
    }
    status->st_ino = status_inode(status->st_dev, status->st_ino, index);
}

static int encoded_stat(struct view *view, const char *path, struct stat *ret)
{
    struct encoded_view *encoded = (struct encoded_view *)view;
    struct share_header header = {0};
    struct stat status;
    const char *within;
    unsigned index;

    if (*path == '\0')
        return stat_root(encoded, ret);
    int r = split_path(encoded, path, &index, &within);
    if (r == 0)
        r = encoded->source->operations->stat(encoded->source, within, &status, &header, NULL,
                                              NULL);
    if (r < 0)
        return r;
    show(index, &header, &status);
    *ret = status;
    return 0;
}

static int encoded_read_link(struct view *view, const char *path, char **ret)
{
    struct encoded_view *encoded = (struct encoded_view *)view;
    const char *within;
    unsigned index;

    if (*path == '\0')
        return -EINVAL;
    int r = split_path(encoded, path, &index, &within);
    return r < 0 ? r : encoded->source->operations->read_link(encoded->source, within, ret);
}

static int list_shares(const struct encoded_view *encoded, struct names *names)
{
    for (unsigned index = 0; index < encoded->shares; index++) {
        char name[sizeof "ff"];
        snprintf(name, sizeof name, "%02x", (uint8_t)index);
        int r = names_add(names, name);
        if (r < 0)
            return r;
    }
    return 0;
}

static int encoded_list(struct view *view, const char *path, struct names *names)
{
    struct encoded_view *encoded = (struct encoded_view *)view;
    size_t first = names->count;
    const char *within;
    unsigned index;

    if (*path == '\0')
        return list_shares(encoded, names);
    int r = split_path(encoded, path, &index, &within);
    if (r == 0)
        r = encoded->source->operations->list(encoded->source, within, names);
    if (r == 0)
        status_number(names, first, index);
    return r;
}

/*
 * The root's attributes are the source's access control list, if it has one: the root's mode is
 * the source's, too.
 */
static const char access_list[] = "system.posix_acl_access";

static int get_root_xattr(const struct encoded_view *encoded, const char *name, void *value,
                          size_t size, size_t *ret)
{
    if (encoded->source->is_private || strcmp(name, access_list) != 0)
        return -ENODATA;
    return encoded->source->operations->get_xattr(encoded->source, "", name, value, size, ret);
}

static int list_root_xattr(const struct encoded_view *encoded, char *names, size_t size,
                           size_t *ret)
{
    size_t value_size;

    int r = get_root_xattr(encoded, access_list, NULL, 0, &value_size);
    if (r < 0) {
        *ret = 0;
        return r == -ENODATA || r == -ENOTSUP ? 0 : r;
    }
    if (size > 0 && size < sizeof access_list)
        return -ERANGE;
    if (size > 0)
        memcpy(names, access_list, sizeof access_list);
    *ret = sizeof access_list;
    return 0;
}

static int encoded_get_xattr(struct view *view, const char *path, const char *name, void *value,
                             size_t size, size_t *ret)
{
    struct encoded_view *encoded = (struct encoded_view *)view;
    const char *within;
    unsigned index;

    if (*path == '\0')
        return get_root_xattr(encoded, name, value, size, ret);
    int r = split_path(encoded, path, &index, &within);
    return r < 0 ? r
                 : encoded->source->operations->get_xattr(encoded->source, within, name, value,
                                                          size, ret);
}

static int encoded_list_xattr(struct view *view, const char *path, char *names, size_t size,
                              size_t *ret)
{
    struct encoded_view *encoded = (struct encoded_view *)view;
    const char *within;
    unsigned index;

    if (*path == '\0')
        return list_root_xattr(encoded, names, size, ret);
    int r = split_path(encoded, path, &index, &within);
    return r < 0
               ? r
               : encoded->source->operations->list_xattr(encoded->source, within, names, size, ret);
}

static int encoded_statfs(struct view *view, struct statvfs *ret)
{
    struct source *source = ((struct encoded_view *)view)->source;

    return source->operations->statfs(source, ret);
}

static int make_block(void *opaque, uint64_t stripe, uint8_t *block)
{
    const struct encoded_file *file = opaque;
    cleanup_buffer struct buffer data = NO_BUFFER;

    int r = buffer_take(layout_payload_size(&file->layout, stripe) * file->layout.required, &data);
    if (r == 0)
        r = file->source->operations->read_stripe(file->source, stripe, data.data);
    if (r == SOURCE_ZEROS)
        return encoder_run_zeros(file->encoder, stripe, &block);
    return r < 0 ? r : encoder_run(file->encoder, stripe, data.data, &block);
}

static void encoded_close(struct view_file *opaque)
{
    struct encoded_file *file = (struct encoded_file *)opaque;

    if (file->ahead)
        ahead_free(file->ahead);
    if (file->blocks)
        stripe_cache_free(file->blocks);
    if (file->encoder)
        encoder_free(file->encoder);
    if (file->source)
        source_close(file->source);
    free(file);
}

/* Lays out the share of index INDEX of the file that was opened, and what makes it. */
static int prepare_encoder(unsigned index, struct encoded_file *file)
{
    struct share_header header = file->source->header;
    uint8_t wanted = (uint8_t)index;

    file->layout = header_plain_layout(&header);
    header.layout = file->layout;
    header.index = wanted;
    if (formats[header.layout.format]->has_total && index >= header.total) {
        log_error("share %02x: its files were encoded as %u shares; there is no such share", index,
                  header.total);
        return -EIO;
    }
    header_write(&header, file->header);
    file->file.status = file->source->status;
    file->file.content = file->source->content;
    show(index, &file->source->header, &file->file.status);
    if (file->layout.source_size == 0)
        return 0;
    int r = encoder_new(&file->layout, 1, &wanted, &file->encoder);
    if (r < 0)
        return r;
    r = stripe_cache_new(layout_block_size(&file->layout, 0), make_block, file, &file->blocks);
    if (r < 0 || !file->source->distant)
        return r;
    return ahead_new(file->blocks, layout_full_stripe_size(&file->layout),
                     layout_stripes(&file->layout), &file->ahead);
}

static int encoded_open(struct view *view, const char *path, struct view_file **ret)
{
    struct encoded_view *encoded = (struct encoded_view *)view;
    cleanup_view_file struct view_file *opened = NULL;
    const char *within;
    unsigned index;

    if (*path == '\0')
        return -EISDIR;
    int r = split_path(encoded, path, &index, &within);
    if (r < 0)
        return r;
    struct encoded_file *file = calloc(1, sizeof *file);
    if (!file)
        return -ENOMEM;
    file->file.operations = view->operations;
    opened = &file->file;
    r = encoded->source->operations->open(encoded->source, within, &file->source);
    if (r == 0)
        r = prepare_encoder(index, file);
    if (r < 0)
        return r;
    *ret = steal_pointer(opened);
    return 0;
}

/* The stripe whose block has the byte AT of the share, or comes first behind it. */
static uint64_t stripe_at(const struct share_layout *layout, uint64_t at)
{
    return at < layout->header_size ? 0
                                    : (at - layout->header_size) / layout_full_block_size(layout);
}

/* What of header or block AT stands in is at hand: copies it, and returns how much in *RET. */
static int read_part(const struct encoded_file *file, uint64_t at, size_t size, uint8_t *data,
                     size_t *ret)
{
    const struct share_layout *layout = &file->layout;

    if (at < layout->header_size) {
        size_t part = (size_t)(layout->header_size - at);
        *ret = part < size ? part : size;
        memcpy(data, file->header + at, *ret);
        return 0;
    }
    uint64_t stripe = stripe_at(layout, at);
    size_t from = (size_t)(at - layout_block_offset(layout, stripe));
    size_t part = layout_block_size(layout, stripe) - from;
    *ret = part < size ? part : size;
    return stripe_cache_read(file->blocks, stripe, from, *ret, data);
}

static int encoded_read(struct view_file *opaque, uint64_t offset, size_t size, uint8_t *data,
                        size_t *ret)
{
    struct encoded_file *file = (struct encoded_file *)opaque;
    uint64_t end = layout_share_size(&file->layout);
    size_t done = 0, part;

    if (offset >= end)
        size = 0;
    else if (size > end - offset)
        size = (size_t)(end - offset);
    if (file->ahead && size > 0)
        ahead_note(file->ahead, stripe_at(&file->layout, offset),
                   stripe_at(&file->layout, offset + size - 1));
    while (done < size) {
        int r = read_part(file, offset + done, size - done, data + done, &part);
        if (r < 0)
            return r;
        done += part;
    }
    *ret = done;
    return 0;
}

static const struct view_operations operations = {
    .free = encoded_view_free,
    .stat = encoded_stat,
    .read_link = encoded_read_link,
    .list = encoded_list,
    .get_xattr = encoded_get_xattr,
    .list_xattr = encoded_list_xattr,
    .statfs = encoded_statfs,
    .open = encoded_open,
    .read = encoded_read,
    .close = encoded_close,
};

int encoded_view_new(struct source *source, unsigned shares, struct view **ret)
{
    struct encoded_view *encoded = malloc(sizeof *encoded);

    if (!encoded) {
        source_free(source);
        return -ENOMEM;
    }
    *encoded = (struct encoded_view){
        .view = {.operations = &operations, .live = source->live, .distant = &source->distant},
        .source = source,
        .shares = shares,
    };
    *ret = &encoded->view;
    return 0;
}
