/* SPDX-License-Identifier: MIT */
#include "view/restored.h"

#include "view/ahead.h"
#include "view/status.h"
#include "view/stripe_cache.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SEEK_LIMIT_S = 1, /* that a search for holes or data takes at most, more or less */
    SEEK_LOOKS = 64,  /* stripes between two looks at the clock */
};

struct restored_view {
    struct view view;
    struct source *source;
    bool for_others;
};

struct restored_file {
    struct view_file file;
    struct source_file *source;
    struct stripe_cache *stripes; /* NULL for an empty file */
    struct ahead *ahead;          /* NULL where nothing is to be gained by it */
};

static struct source *source_of(struct view *view)
{
    return ((struct restored_view *)view)->source;
}

static void restored_view_free(struct view *view)
{
    source_free(source_of(view));
    free(view);
}

/* Returns true if PATH is the root, and the source is to be kept from others. */
static bool is_hidden(const struct view *view, const char *path)
{
    const struct restored_view *restored = (const struct restored_view *)view;

    return *path == '\0' && restored->for_others && atomic_load(&restored->source->is_private);
}

/* As the view shows what the source has. */
static void show(struct stat *status)
{
    status->st_ino = status_inode(status->st_dev, status->st_ino, 0);
}

static int restored_stat(struct view *view, const char *path, struct stat *ret)
{
    struct share_header header;
    struct stat status;

    int r = source_of(view)->operations->stat(source_of(view), path, &status, &header, NULL, NULL);
    if (r < 0)
        return r;
    if (is_hidden(view, path))
        status_close(&status);
    show(&status);
    *ret = status;
    return 0;
}

static int restored_read_link(struct view *view, const char *path, char **ret)
{
    return source_of(view)->operations->read_link(source_of(view), path, ret);
}

/* What opens the root to others beside its mode. */
static const char access_list[] = "system.posix_acl_access";

static int restored_get_xattr(struct view *view, const char *path, const char *name, void *value,
                              size_t size, size_t *ret)
{
    if (is_hidden(view, path) && strcmp(name, access_list) == 0)
        return -ENODATA;
    return source_of(view)->operations->get_xattr(source_of(view), path, name, value, size, ret);
}

/* Takes the access control list out of NAMES, which have *SIZE bytes. */
static void hide_access_list(char *names, size_t *size)
{
    char *end = names + *size;

    for (char *name = names; name < end; name += strlen(name) + 1) {
        if (strcmp(name, access_list) == 0) {
            memmove(name, name + sizeof access_list, (size_t)(end - name) - sizeof access_list);
            *size -= sizeof access_list;
            return;
        }
    }
}

static int restored_list_xattr(struct view *view, const char *path, char *names, size_t size,
                               size_t *ret)
{
    int r = source_of(view)->operations->list_xattr(source_of(view), path, names, size, ret);

    if (r == 0 && size > 0 && is_hidden(view, path))
        hide_access_list(names, ret);
    return r;
}

static int restored_list(struct view *view, const char *path, struct names *names)
{
    size_t first = names->count;

    int r = source_of(view)->operations->list(source_of(view), path, names);
    if (r == 0)
        status_number(names, first, 0);
    return r;
}

static int restored_statfs(struct view *view, struct statvfs *ret)
{
    return source_of(view)->operations->statfs(source_of(view), ret);
}

static int make_stripe(void *opaque, uint64_t stripe, uint8_t *data)
{
    struct source_file *source = ((struct restored_file *)opaque)->source;

    int r = source->operations->read_stripe(source, stripe, data);
    if (r == SOURCE_ZEROS) {
        memset(data, 0, layout_stripe_size(&source->header.layout, stripe));
        r = 0;
    }
    return r;
}

static void restored_close(struct view_file *opaque)
{
    struct restored_file *file = (struct restored_file *)opaque;

    if (file->ahead)
        ahead_free(file->ahead);
    if (file->stripes)
        stripe_cache_free(file->stripes);
    if (file->source)
        source_close(file->source);
    free(file);
}

static int restored_open(struct view *view, const char *path, struct view_file **ret)
{
    cleanup_view_file struct view_file *opened = NULL;
    struct restored_file *file = calloc(1, sizeof *file);

    if (!file)
        return -ENOMEM;
    file->file.operations = view->operations;
    opened = &file->file;
    int r = source_of(view)->operations->open(source_of(view), path, &file->source);
    if (r < 0)
        return r;
    file->file.status = file->source->status;
    file->file.content = file->source->content;
    show(&file->file.status);
    const struct share_layout *layout = &file->source->header.layout;
    if (layout->source_size > 0) {
        size_t room = layout_payload_size(layout, 0) * layout->required;
        r = stripe_cache_new(room, make_stripe, file, &file->stripes);
        if (r == 0 && file->source->distant)
            r = ahead_new(file->stripes, room, layout_stripes(layout), &file->ahead);
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
    const struct share_layout *layout = &file->source->header.layout;
    size_t full = layout_full_stripe_size(layout), done = 0;

    if (offset >= layout->source_size)
        size = 0;
    else if (size > layout->source_size - offset)
        size = (size_t)(layout->source_size - offset);
    if (file->ahead && size > 0)
        ahead_note(file->ahead, offset / full, (offset + size - 1) / full);
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

/*
 * The first byte from OFFSET on that is in a hole, or (not HOLE) in data; the file's end where
 * there is none. To say that there is data is never wrong, so that the search ends when it takes
 * long.
 */
static uint64_t find_hole_or_data(const struct restored_file *file, uint64_t offset, bool hole)
{
    const struct source_operations *source = file->source->operations;
    const struct share_layout *layout = &file->source->header.layout;
    uint64_t full = layout_full_stripe_size(layout), end = layout_stripes(layout);
    uint64_t first = offset / full, stripe = first;
    time_t limit = time(NULL) + SEEK_LIMIT_S;

    while (stripe < end && source->is_hole(file->source, stripe) != hole) {
        if (++stripe % SEEK_LOOKS == 0 && time(NULL) > limit)
            return hole ? layout->source_size : stripe * full;
    }
    if (stripe == end)
        return layout->source_size;
    return stripe == first ? offset : stripe * full;
}

static int restored_seek(struct view_file *opaque, uint64_t offset, int whence, uint64_t *ret)
{
    const struct restored_file *file = (struct restored_file *)opaque;
    uint64_t size = file->source->header.layout.source_size, found;

    if (offset >= size)
        return -ENXIO;
    if (!file->source->operations->is_hole)
        return -EOPNOTSUPP;
    found = find_hole_or_data(file, offset, whence == SEEK_HOLE);
    if (whence == SEEK_DATA && found == size)
        return -ENXIO;
    *ret = found;
    return 0;
}

static const struct view_operations operations = {
    .free = restored_view_free,
    .stat = restored_stat,
    .read_link = restored_read_link,
    .list = restored_list,
    .get_xattr = restored_get_xattr,
    .list_xattr = restored_list_xattr,
    .statfs = restored_statfs,
    .open = restored_open,
    .read = restored_read,
    .seek = restored_seek,
    .close = restored_close,
};

int restored_view_new(struct source *source, bool for_others, struct view **ret)
{
    struct restored_view *restored = malloc(sizeof *restored);

    if (!restored) {
        source_free(source);
        return -ENOMEM;
    }
    *restored = (struct restored_view){
        .view = {.operations = &operations, .live = source->live, .distant = &source->distant},
        .source = source,
        .for_others = for_others,
    };
    *ret = &restored->view;
    return 0;
}
