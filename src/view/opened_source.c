/* SPDX-License-Identifier: MIT */
#include "view/opened_source.h"

#include "base/bytes.h"
#include "base/log.h"
#include "base/times.h"
#include "seal/from_stat.h"
#include "view/opened_names.h"
#include "view/report.h"
#include "view/status.h"

#include <stdio.h>
#include <string.h>

enum { NAMES_MAX = 1 << 16 }; /* of one file, on usual file systems */

struct opened_source {
    struct source source;
    struct source *stores;
    struct seal_keys *keys;
    struct opened_names *names;
};

struct opened_file {
    struct source_file file;
    struct source_file *sealed;
    struct seal_opener opener;
};

/* What the manifests say of a path. */
struct told {
    const struct manifest *above; /* NULL: it is the root */
    const struct manifest *own;   /* of a directory; NULL: it is none, or that cannot be had */
    const struct manifest_attributes *attributes;
};

static void opened_source_free(struct source *opaque)
{
    struct opened_source *source = (struct opened_source *)opaque;

    if (source->names)
        opened_names_free(source->names);
    source_free(source->stores);
    seal_keys_free(source->keys);
    free(source);
}

static void leave_manifests(const struct opened_source *source, struct told *told)
{
    if (told->above)
        opened_names_leave(source->names, told->above);
    if (told->own)
        opened_names_leave(source->names, told->own);
}

static int read_manifest(const struct opened_source *source, const char *path,
                         const struct manifest **ret);

/* Returns 0 if the directory PATH is one by the manifest above it, and -ENOENT if it is none. */
static int find_directory(const struct opened_source *source, const char *path)
{
    const char *slash = strrchr(path, '/');
    const struct manifest *above;

    if (*path == '\0')
        return 0;
    cleanup_free char *parent = strndup(path, slash ? (size_t)(slash - path) : 0);
    int r = parent ? read_manifest(source, parent, &above) : -ENOMEM;
    if (r < 0)
        return r;
    const struct manifest_entry *entry = manifest_find(above, slash ? slash + 1 : path);
    r = entry && S_ISDIR(entry->attributes.mode) ? 0 : -ENOENT;
    opened_names_leave(source->names, above);
    return r;
}

/* As opened_names_manifest, but -ENOENT only where there is no such directory: without its manifest
 * one that is there is lost, and not empty. */
static int read_manifest(const struct opened_source *source, const char *path,
                         const struct manifest **ret)
{
    int r = opened_names_manifest(source->names, path, ret);

    if (r != -ENOENT)
        return r;
    r = find_directory(source, path);
    return r == 0 ? log_as(-EIO, "%s: too few stores have its manifest, which has all names in it",
                           log_path(path))
                  : r;
}

/* Sets TOLD to what is known of PATH; leave_manifests() it if 0 is returned. */
static int ask_manifests(const struct opened_source *source, const char *path, struct told *told)
{
    const char *slash = strrchr(path, '/');
    const struct manifest_entry *entry;

    *told = (struct told){.above = NULL};
    if (*path == '\0') {
        int r = read_manifest(source, path, &told->own);
        if (r == 0)
            told->attributes = &told->own->self;
        return r;
    }
    cleanup_free char *parent = strndup(path, slash ? (size_t)(slash - path) : 0);
    int r = parent ? read_manifest(source, parent, &told->above) : -ENOMEM;
    if (r < 0)
        return r;
    entry = manifest_find(told->above, slash ? slash + 1 : path);
    if (!entry) {
        leave_manifests(source, told);
        return -ENOENT;
    }
    told->attributes = &entry->attributes;
    if (S_ISDIR(entry->attributes.mode)) {
        r = read_manifest(source, path, &told->own);
        if (r == 0)
            told->attributes = &told->own->self;
        else if (r != -EIO) {
            told->own = NULL;
            leave_manifests(source, told);
            return r;
        }
    }
    return 0;
}

static int number_of(const struct opened_source *source, const char *path,
                     const struct manifest_attributes *attributes, ino_t *ret)
{
    uint8_t id[PATH_ID_SIZE];
    int r = attributes->has_link ? 0 : seal_path_id(source->keys, path, id);

    if (r == 0)
        *ret = load_le64(attributes->has_link ? attributes->link : id);
    return r;
}

static void show_attributes(const struct manifest_attributes *attributes, struct stat *ret)
{
    attributes_to_stat(attributes, ret);
    ret->st_atim = ret->st_ctim = ret->st_mtim;
    ret->st_nlink = attributes->has_link || S_ISDIR(attributes->mode) ? 2 : 1; /* or more */
    status_set_size(ret, (uint64_t)ret->st_size);
}

/*
 * The content may be newer than what the manifest says of it. Of an empty one nothing is keyed, so
 * that less than k stores might say so: only the manifest may.
 */
static void show_content(const struct share_header *header, struct stat *status)
{
    const uint64_t size = header->layout.source_size;

    if (size == 0 ||
        (size == (uint64_t)status->st_size && header->mtime_ns <= header_time(&status->st_mtim)))
        return;
    status_set_size(status, size);
    header_mtime(header, &status->st_mtim);
}

/* The file as it is in the stores. */
static void look_at_file(const struct opened_source *source, const char *path, struct stat *status,
                         struct share_header *ret_header)
{
    cleanup_free char *ids = NULL;
    struct share_header header = {0};
    struct stat stored;

    *ret_header = (struct share_header){0};
    if (opened_names_id_path(source->names, path, &ids) < 0 ||
        source->stores->operations->stat(source->stores, ids, &stored, &header, NULL, NULL) < 0 ||
        header.layout.required == 0)
        return;
    *ret_header = header;
    show_content(&header, status);
}

static int note_inodes(const struct stat *status, const struct manifest_attributes *attributes,
                       struct source_inodes *ret)
{
    if (!attributes->has_link)
        return 0;
    ret->items = malloc(sizeof *ret->items);
    if (!ret->items)
        return -ENOMEM;
    /* How many there are no manifest says. */
    *ret->items = (struct source_inode){.number = status->st_ino, .names = NAMES_MAX};
    ret->count = 1;
    return 0;
}

static int opened_source_stat(struct source *opaque, const char *path, struct stat *ret,
                              struct share_header *ret_header, struct source_file **ret_file,
                              struct source_inodes *ret_inodes)
{
    struct opened_source *source = (struct opened_source *)opaque;
    struct stat status = {0};
    struct told told;

    if (ret_file)
        *ret_file = NULL;
    if (ret_inodes)
        *ret_inodes = (struct source_inodes){.items = NULL};
    int r = ask_manifests(source, path, &told);
    if (r < 0 && *path == '\0') { /* without stores, or without its manifest, it is still there */
        *ret = (struct stat){.st_mode = S_IFDIR | S_IRUSR | S_IXUSR, .st_nlink = 2};
        return 0;
    }
    if (r < 0)
        return r;
    show_attributes(told.attributes, &status);
    if (S_ISDIR(status.st_mode) && !told.own)
        status.st_mode |= S_IRWXU; /* what is in it may still be had by name */
    r = number_of(source, path, told.attributes, &status.st_ino);
    if (r == 0 && ret_inodes)
        r = note_inodes(&status, told.attributes, ret_inodes);
    if (r == 0 && S_ISREG(status.st_mode))
        look_at_file(source, path, &status, ret_header);
    leave_manifests(source, &told);
    if (r == 0)
        *ret = status;
    return r;
}

static int opened_source_read_link(struct source *opaque, const char *path, char **ret)
{
    const struct opened_source *source = (struct opened_source *)opaque;
    struct told told;

    int r = ask_manifests(source, path, &told);
    if (r < 0)
        return r;
    const char *target = told.attributes->target;
    char *copy = target ? strdup(target) : NULL;
    r = copy ? 0 : target ? -ENOMEM : -EINVAL;
    leave_manifests(source, &told);
    if (r == 0)
        *ret = copy;
    return r;
}

static int opened_source_list(struct source *opaque, const char *path, struct names *names)
{
    const struct opened_source *source = (struct opened_source *)opaque;
    const struct manifest *manifest;

    int r = read_manifest(source, path, &manifest);
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < manifest->count; i++) {
        const struct manifest_entry *entry = &manifest->entries[i];
        cleanup_free char *whole = NULL;
        struct listed known = {.kind = entry->attributes.mode & S_IFMT};
        if (asprintf(&whole, "%s%s%s", path, *path ? "/" : "", entry->name) < 0) {
            whole = NULL;
            r = -ENOMEM;
        }
        if (r == 0)
            r = number_of(source, whole, &entry->attributes, &known.inode);
        if (r == 0)
            r = names_add_known(names, entry->name, &known);
    }
    opened_names_leave(source->names, manifest);
    return r;
}

/* THERE bytes of FROM to where the caller wants them, as lgetxattr(2). */
static int reply(const void *from, size_t there, void *bytes, size_t size, size_t *ret)
{
    if (size > 0 && there > size)
        return -ERANGE;
    if (size > 0 && there > 0)
        memcpy(bytes, from, there);
    *ret = there;
    return 0;
}

static int opened_source_get_xattr(struct source *opaque, const char *path, const char *name,
                                   void *value, size_t size, size_t *ret)
{
    const struct opened_source *source = (struct opened_source *)opaque;
    struct xattr found;
    struct told told;

    if (strcmp(name, REPORT_STORES_NAME) == 0 || strcmp(name, REPORT_HEALTH_NAME) == 0) {
        cleanup_free char *ids = NULL;
        int r = opened_names_id_path(source->names, path, &ids);
        return r < 0 ? r
                     : source->stores->operations->get_xattr(source->stores, ids, name, value, size,
                                                             ret);
    }
    int r = ask_manifests(source, path, &told);
    if (r < 0)
        return r;
    r = xattrs_find(&told.attributes->xattrs, name, &found)
            ? reply(found.value, found.size, value, size, ret)
            : -ENODATA;
    leave_manifests(source, &told);
    return r;
}

static int opened_source_list_xattr(struct source *opaque, const char *path, char *names,
                                    size_t size, size_t *ret)
{
    const struct opened_source *source = (struct opened_source *)opaque;
    struct xattr own;
    struct told told;
    size_t there = 0;

    int r = ask_manifests(source, path, &told);
    if (r < 0)
        return r;
    const struct xattrs *xattrs = &told.attributes->xattrs;
    for (const char *at = xattrs->bytes; xattrs_next(xattrs, &at, &own);) {
        const size_t length = strlen(own.name) + 1;
        if (size > 0 && there + length <= size)
            memcpy(names + there, own.name, length);
        there += length;
    }
    leave_manifests(source, &told);
    if (size > 0 && there > size)
        return -ERANGE;
    *ret = there;
    return 0;
}

static int opened_source_read_xattrs(struct source *opaque, const char *path, struct xattrs *ret)
{
    const struct opened_source *source = (struct opened_source *)opaque;
    struct xattr own;
    struct told told;

    *ret = NO_XATTRS;
    int r = ask_manifests(source, path, &told);
    if (r < 0)
        return r;
    const struct xattrs *xattrs = &told.attributes->xattrs;
    for (const char *at = xattrs->bytes; r == 0 && xattrs_next(xattrs, &at, &own);)
        r = xattrs_add(ret, own.name, own.value, own.size);
    leave_manifests(source, &told);
    return r;
}

static int opened_source_statfs(struct source *opaque, struct statvfs *ret)
{
    struct source *stores = ((struct opened_source *)opaque)->stores;

    return stores->operations->statfs(stores, ret);
}

static void opened_source_close(struct source_file *opaque)
{
    struct opened_file *file = (struct opened_file *)opaque;

    if (file->sealed)
        source_close(file->sealed);
    free(file);
}

static int opened_source_open(struct source *opaque, const char *path, unsigned rank,
                              struct source_file **ret)
{
    struct opened_source *source = (struct opened_source *)opaque;
    cleanup_source_file struct source_file *opened = NULL;
    cleanup_free char *ids = NULL;
    uint8_t id[PATH_ID_SIZE];
    struct told told;

    int r = ask_manifests(source, path, &told);
    if (r < 0)
        return r;
    struct opened_file *file = calloc(1, sizeof *file);
    if (file) {
        file->file.operations = opaque->operations;
        show_attributes(told.attributes, &file->file.status);
        r = number_of(source, path, told.attributes, &file->file.status.st_ino);
        opened = &file->file;
    }
    const bool regular = S_ISREG(told.attributes->mode), directory = S_ISDIR(told.attributes->mode);
    leave_manifests(source, &told);
    if (!file)
        return -ENOMEM;
    if (r == 0 && !regular)
        return directory ? -EISDIR : -EINVAL;
    if (r == 0)
        r = opened_names_id_path(source->names, path, &ids);
    if (r == 0)
        r = seal_path_id(source->keys, path, id);
    if (r == 0)
        r = source->stores->operations->open(source->stores, ids, rank, &file->sealed);
    if (r == -ENOENT && rank == 0)
        r = log_as(-EIO, "%s: the stores have too few shares of it", log_path(path));
    if (r < 0)
        return r;
    const struct share_header *header = &file->sealed->header;
    struct stat *status = &file->file.status;
    const struct seal_place place = seal_place_of_file(source->keys, id);
    file->opener = seal_opener(&place, &header->layout);
    file->sealed->opener = &file->opener.opener;
    file->file.header = *header;
    file->file.content = file->sealed->content;
    file->file.present = file->sealed->present;
    file->file.distant = file->sealed->distant;
    /* An empty file is a header alone, in which nothing is keyed. */
    if (header->layout.source_size == 0 && status->st_size != 0)
        return log_as(-EIO, "%s: its shares say that it is empty, and its directory does not",
                      log_path(path));
    show_content(header, status);
    *ret = steal_pointer(opened);
    return 0;
}

static int opened_source_read_stripe(struct source_file *opaque, uint64_t stripe, uint8_t *data,
                                     uint8_t digest[HASH_SIZE])
{
    const struct opened_file *file = (const struct opened_file *)opaque;

    return file->sealed->operations->read_stripe(file->sealed, stripe, data, digest);
}

static const struct source_operations operations = {
    .free = opened_source_free,
    .stat = opened_source_stat,
    .read_link = opened_source_read_link,
    .list = opened_source_list,
    .get_xattr = opened_source_get_xattr,
    .list_xattr = opened_source_list_xattr,
    .read_xattrs = opened_source_read_xattrs,
    .statfs = opened_source_statfs,
    .open = opened_source_open,
    .read_stripe = opened_source_read_stripe,
    .close = opened_source_close,
};

int opened_source_new(struct source *stores, struct seal_keys *keys, struct source **ret)
{
    struct opened_source *source = malloc(sizeof *source);

    if (!source) {
        source_free(stores);
        seal_keys_free(keys);
        return -ENOMEM;
    }
    *source = (struct opened_source){
        .source = {.operations = &operations, .live = stores->live, .is_private = true},
        .stores = stores,
        .keys = keys,
    };
    int r = opened_names_new(stores, keys, &source->names);
    if (r < 0)
        opened_source_free(&source->source);
    else
        *ret = &source->source;
    return r;
}
