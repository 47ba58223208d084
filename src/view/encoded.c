/* SPDX-License-Identifier: MIT */
#include "view/encoded.h"

#include "base/buffer.h"
#include "base/log.h"
#include "share/header.h"
#include "stripe/encode.h"
#include "tree/tree.h"
#include "view/status.h"
#include "view/stripe_cache.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct encoded_view {
    struct view view;
    struct encoding encoding;
    struct tree *source;
};

struct encoded_file {
    struct view_file file;
    struct share_layout layout;
    struct stat opened; /* the source's status when it was opened: the version that is served */
    int source;
    char *path; /* in the source, for messages */
    uint8_t header[HEADER_SIZE_MAX];
    struct encoder *encoder;
    struct stripe_cache *blocks; /* NULL for an empty file */
};

static void encoded_view_free(struct view *view)
{
    struct encoded_view *encoded = (struct encoded_view *)view;

    tree_close(encoded->source);
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
    if (index >= encoded->encoding.shares)
        return -ENOENT;
    *ret_index = index;
    *ret_path = path[2] ? path + 3 : path + 2;
    return 0;
}

static int layout_of(const struct encoded_view *encoded, const struct stat *source,
                     struct share_layout *ret)
{
    const struct encoding *encoding = &encoded->encoding;

    return layout_new(encoding->format, encoding->required, encoding->shares, encoding->block_size,
                      (uint64_t)source->st_size, ret);
}

static int stat_root(const struct encoded_view *encoded, struct stat *ret)
{
    int r = tree_stat(encoded->source, "", ret);

    if (r < 0)
        return r;
    ret->st_nlink = 2 + encoded->encoding.shares;
    ret->st_ino = status_inode(ret->st_dev, ret->st_ino, 256);
    return 0;
}

static int encoded_stat(struct view *view, const char *path, struct stat *ret)
{
    struct encoded_view *encoded = (struct encoded_view *)view;
    struct share_layout layout;
    struct stat status;
    const char *within;
    unsigned index;

    if (*path == '\0')
        return stat_root(encoded, ret);
    int r = split_path(encoded, path, &index, &within);
    if (r == 0)
        r = tree_stat(encoded->source, within, &status);
    if (r == 0 && S_ISREG(status.st_mode)) {
        r = layout_of(encoded, &status, &layout);
        if (r == 0)
            status_set_size(&status, layout_share_size(&layout));
    }
    if (r < 0)
        return r;
    status.st_ino = status_inode(status.st_dev, status.st_ino, index);
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
    return r < 0 ? r : tree_read_link(encoded->source, within, ret);
}

static int list_shares(const struct encoded_view *encoded, struct names *names)
{
    for (unsigned index = 0; index < encoded->encoding.shares; index++) {
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
    const char *within;
    unsigned index;

    if (*path == '\0')
        return list_shares(encoded, names);
    int r = split_path(encoded, path, &index, &within);
    return r < 0 ? r : tree_list(encoded->source, within, names);
}

static int encoded_statfs(struct view *view, struct statvfs *ret)
{
    return tree_statfs(((struct encoded_view *)view)->source, ret);
}

/* Whether the file is no longer the version that was opened. */
static bool has_changed(const struct encoded_file *file)
{
    const struct stat *then = &file->opened;
    struct stat now;

    return fstat(file->source, &now) < 0 || now.st_size != then->st_size ||
           now.st_mtim.tv_sec != then->st_mtim.tv_sec ||
           now.st_mtim.tv_nsec != then->st_mtim.tv_nsec ||
           now.st_ctim.tv_sec != then->st_ctim.tv_sec ||
           now.st_ctim.tv_nsec != then->st_ctim.tv_nsec;
}

static int read_stripe(const struct encoded_file *file, uint64_t stripe, uint8_t *data)
{
    size_t size = layout_stripe_size(&file->layout, stripe), done = 0;
    uint64_t start = stripe * layout_full_stripe_size(&file->layout);

    while (done < size) {
        ssize_t n = pread(file->source, data + done, size - done, (off_t)(start + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return log_errno(-errno, "%s: cannot read the source", file->path);
        if (n == 0)
            break;
        done += (size_t)n;
    }
    if (done < size || has_changed(file)) {
        log_error("%s: changed while its share was being read; read it again", file->path);
        return -EIO;
    }
    return 0;
}

static int make_block(void *opaque, uint64_t stripe, uint8_t *block)
{
    const struct encoded_file *file = opaque;
    cleanup_buffer struct buffer data = NO_BUFFER;
    size_t pieces = layout_payload_size(&file->layout, stripe) * file->layout.required;

    int r = buffer_take(pieces, &data);
    if (r == 0)
        r = read_stripe(file, stripe, data.data);
    return r < 0 ? r : encoder_run(file->encoder, stripe, data.data, &block);
}

static void encoded_close(struct view_file *opaque)
{
    struct encoded_file *file = (struct encoded_file *)opaque;

    if (file->blocks)
        stripe_cache_free(file->blocks);
    if (file->encoder)
        encoder_free(file->encoder);
    cleanup_close_fd(&file->source);
    free(file->path);
    free(file);
}

/* Lays out the share of index INDEX of the file that was opened, and what makes it. */
static int prepare(const struct encoded_view *encoded, unsigned index, struct encoded_file *file)
{
    uint8_t wanted = (uint8_t)index;

    int r = layout_of(encoded, &file->opened, &file->layout);
    if (r < 0)
        return r;
    struct share_header header = {
        .layout = file->layout,
        .index = wanted,
        .total = (uint16_t)encoded->encoding.shares,
        .mtime_ns = header_time(&file->opened.st_mtim),
    };
    header_write(&header, file->header);
    if (file->layout.source_size == 0)
        return 0;
    r = encoder_new(&file->layout, 1, &wanted, &file->encoder);
    if (r < 0)
        return r;
    return stripe_cache_new(layout_block_size(&file->layout, 0), make_block, file, &file->blocks);
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
    file->source = -1;
    opened = &file->file;
    file->path = strdup(within);
    if (!file->path)
        return -ENOMEM;
    r = tree_open_file(encoded->source, within, &file->opened, &file->source);
    if (r == 0)
        r = prepare(encoded, index, file);
    if (r < 0)
        return r;
    *ret = steal_pointer(opened);
    return 0;
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
    uint64_t stripe = (at - layout->header_size) / layout_full_block_size(layout);
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
    .statfs = encoded_statfs,
    .open = encoded_open,
    .read = encoded_read,
    .close = encoded_close,
};

int encoded_view_new(const char *source, const struct encoding *encoding, struct view **ret)
{
    cleanup_tree struct tree *tree = NULL;

    int r = tree_open(source, &tree);
    if (r < 0)
        return r;
    struct encoded_view *encoded = malloc(sizeof *encoded);
    if (!encoded)
        return -ENOMEM;
    *encoded = (struct encoded_view){
        .view.operations = &operations,
        .encoding = *encoding,
        .source = steal_pointer(tree),
    };
    *ret = &encoded->view;
    return 0;
}
