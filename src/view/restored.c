/* SPDX-License-Identifier: MIT */
#include "view/restored.h"

#include "view/status.h"
#include "view/stripe_cache.h"

#include <stdbool.h>
#include <string.h>

struct restored_view {
    struct view view;
    struct share_terms terms;
    struct stores *stores;
};

struct restored_file {
    struct view_file file;
    struct share_set *shares;
    struct share_layout layout;
    struct stripe_cache *stripes; /* NULL for an empty file */
};

static void restored_view_free(struct view *view)
{
    struct restored_view *restored = (struct restored_view *)view;

    stores_close(restored->stores);
    free(restored);
}

/* Finds the first store that has PATH, its tree and the status there. */
static int find(const struct restored_view *restored, const char *path, const struct tree **ret,
                struct stat *ret_status)
{
    const struct stores *stores = restored->stores;
    int worst = -ENOENT;

    for (size_t i = 0; i < stores->count; i++) {
        int r = tree_stat(stores->trees[i], path, ret_status);
        if (r == 0) {
            *ret = stores->trees[i];
            return 0;
        }
        if (r != -ENOENT && r != -ENOTDIR)
            worst = r;
    }
    return worst;
}

/* The status of a file whose shares lie at PATH. */
static int stat_file(const struct restored_view *restored, const char *path, struct stat *ret)
{
    cleanup_share_set struct share_set *shares = NULL;

    int r = share_set_open(restored->stores, &restored->terms, path, &shares);
    if (r < 0)
        return r;
    const struct share_layout *layout = share_set_layout(shares);
    *ret = *share_set_status(shares);
    status_set_size(ret, layout ? layout->source_size : 0);
    return 0;
}

/* Without stores, the root is still there: an empty directory. */
static void stat_no_stores(struct stat *ret)
{
    *ret = (struct stat){.st_mode = S_IFDIR | 0555, .st_nlink = 2};
}

static int restored_stat(struct view *view, const char *path, struct stat *ret)
{
    struct restored_view *restored = (struct restored_view *)view;
    const struct tree *tree;
    struct stat status;

    int r = find(restored, path, &tree, &status);
    if (r == 0 && S_ISREG(status.st_mode))
        r = stat_file(restored, path, &status);
    if (r == -ENOENT && *path == '\0') {
        stat_no_stores(&status);
        r = 0;
    }
    if (r < 0)
        return r;
    status.st_ino = status_inode(status.st_dev, status.st_ino, 0);
    *ret = status;
    return 0;
}

static int restored_read_link(struct view *view, const char *path, char **ret)
{
    const struct tree *tree;
    struct stat status;

    int r = find((struct restored_view *)view, path, &tree, &status);
    return r < 0 ? r : tree_read_link(tree, path, ret);
}

static int restored_list(struct view *view, const char *path, struct names *names)
{
    const struct stores *stores = ((struct restored_view *)view)->stores;
    bool found = stores->count == 0;
    int worst = -ENOENT;

    for (size_t i = 0; i < stores->count; i++) {
        int r = tree_list(stores->trees[i], path, names);
        if (r == -ENOMEM)
            return r;
        if (r == 0)
            found = true;
        else if (r != -ENOENT)
            worst = r;
    }
    names_sort_unique(names);
    return found ? 0 : worst;
}

static int restored_statfs(struct view *view, struct statvfs *ret)
{
    const struct stores *stores = ((struct restored_view *)view)->stores;

    *ret = (struct statvfs){.f_namemax = 255};
    return stores->count > 0 ? tree_statfs(stores->trees[0], ret) : 0;
}

static int make_stripe(void *opaque, uint64_t stripe, uint8_t *data)
{
    const struct restored_file *file = opaque;

    return share_set_read_stripe(file->shares, stripe, data);
}

static void restored_close(struct view_file *opaque)
{
    struct restored_file *file = (struct restored_file *)opaque;

    if (file->stripes)
        stripe_cache_free(file->stripes);
    share_set_free(file->shares);
    free(file);
}

static int restored_open(struct view *view, const char *path, struct view_file **ret)
{
    struct restored_view *restored = (struct restored_view *)view;
    cleanup_share_set struct share_set *shares = NULL;
    cleanup_view_file struct view_file *opened = NULL;

    int r = share_set_open(restored->stores, &restored->terms, path, &shares);
    if (r == 0)
        r = share_set_check(shares);
    if (r < 0)
        return r;
    struct restored_file *file = calloc(1, sizeof *file);
    if (!file)
        return -ENOMEM;
    file->file.operations = view->operations;
    file->layout = *share_set_layout(shares);
    file->shares = steal_pointer(shares);
    opened = &file->file;
    if (file->layout.source_size > 0) {
        size_t pieces = layout_payload_size(&file->layout, 0) * file->layout.required;
        r = stripe_cache_new(pieces, make_stripe, file, &file->stripes);
        if (r < 0)
            return r;
    }
    *ret = steal_pointer(opened);
    return 0;
}

static int restored_read(struct view_file *opaque, uint64_t offset, size_t size, uint8_t *data,
                         size_t *ret)
{
    const struct restored_file *file = (struct restored_file *)opaque;
    const struct share_layout *layout = &file->layout;
    size_t full = layout_full_stripe_size(layout), done = 0;

    if (offset >= layout->source_size)
        size = 0;
    else if (size > layout->source_size - offset)
        size = (size_t)(layout->source_size - offset);
    while (done < size) {
        uint64_t stripe = (offset + done) / full;
        size_t from = (size_t)((offset + done) % full);
        size_t left = layout_stripe_size(layout, stripe) - from;
        size_t part = left < size - done ? left : size - done;
        int r = stripe_cache_read(file->stripes, stripe, from, part, data + done);
        if (r < 0)
            return r;
        done += part;
    }
    *ret = done;
    return 0;
}

static const struct view_operations operations = {
    .free = restored_view_free,
    .stat = restored_stat,
    .read_link = restored_read_link,
    .list = restored_list,
    .statfs = restored_statfs,
    .open = restored_open,
    .read = restored_read,
    .close = restored_close,
};

int restored_view_new(struct stores *stores, const struct share_terms *terms, struct view **ret)
{
    struct restored_view *restored = malloc(sizeof *restored);

    if (!restored) {
        stores_close(stores);
        return -ENOMEM;
    }
    *restored = (struct restored_view){
        .view.operations = &operations,
        .terms = *terms,
        .stores = stores,
    };
    *ret = &restored->view;
    return 0;
}
