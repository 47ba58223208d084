/* SPDX-License-Identifier: MIT */
#include "view/opened_source.h"

#include "base/bytes.h"
#include "base/log.h"
#include "base/times.h"
#include "seal/from_stat.h"
#include "view/report.h"
#include "view/status.h"

#include <stdio.h>
#include <string.h>

enum { NAMES_MAX = 1 << 16 }; /* names of one file on usual file systems */

struct opened_source {
    struct source source;
    struct opened_places places;
    struct seal_keys *keys;
};

struct opened_file {
    struct source_file file;
    struct source_file *sealed;
    struct seal_opener opener;
};

static void opened_source_free(struct source *opaque)
{
    struct opened_source *source = (struct opened_source *)opaque;

    if (source->places.names)
        opened_names_free(source->places.names);
    source_free(source->places.stores);
    seal_keys_free(source->keys);
    free(source);
}

static int find_place(struct source *opaque, const char *path, struct opened_place *ret)
{
    struct opened_source *source = (struct opened_source *)opaque;
    const char *beneath = source->places.terms.beneath;
    cleanup_free char *whole = NULL;

    *ret = (struct opened_place){.names = NULL};
    if (*beneath && asprintf(&whole, "%s%s%s", beneath, *path ? "/" : "", path) < 0) {
        whole = NULL;
        return -ENOMEM;
    }
    int r = opened_place_find(&source->places, whole ? whole : path, ret);
    atomic_store(&opaque->distant, atomic_load(&source->places.stores->distant));
    return r;
}

/* Returns the attributes of PLACE in its manifests; NULL: there are none, except perhaps a type. */
static const struct manifest_attributes *attributes_of(const struct opened_place *place)
{
    if (place->own)
        return &place->own->self;
    return place->entry && !S_ISDIR(place->entry->attributes.mode) ? &place->entry->attributes
                                                                   : NULL;
}

/* Computes the inode number for ATTRIBUTES in the directory that has PATH in the source. */
static int number_of(const struct opened_source *source, const char *path,
                     const struct manifest_entry *entry, ino_t *ret)
{
    const struct manifest_attributes *attributes = &entry->attributes;
    const bool has_id = S_ISREG(attributes->mode) || S_ISDIR(attributes->mode);
    cleanup_free char *whole = NULL;
    uint8_t id[PATH_ID_SIZE];
    int r = 0;

    if (!attributes->has_link && !has_id) {
        if (asprintf(&whole, "%s%s%s", path, *path ? "/" : "", entry->name) < 0) {
            whole = NULL;
            return -ENOMEM;
        }
        r = seal_path_id(source->keys, whole, id);
    }
    if (r == 0)
        *ret = load_le64(attributes->has_link ? attributes->link : has_id ? attributes->id : id);
    return r;
}

static void show_attributes(const struct manifest_attributes *attributes, struct stat *ret)
{
    attributes_to_stat(attributes, ret);
    ret->st_atim = ret->st_ctim = ret->st_mtim;
    ret->st_nlink = attributes->has_link || S_ISDIR(attributes->mode) ? 2 : 1; /* 2: or more */
    status_set_size(ret, (uint64_t)ret->st_size);
}

/*
 * Shows size and time of the shares, which may be newer than the manifest. An empty file has
 * nothing that the key verifies, so fewer than k stores could claim that: then the manifest
 * decides.
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

/* Shows the status of the shares if no manifest describes PLACE. */
static void show_stored(const struct opened_place *place, struct stat *status)
{
    struct share_header header = place->header;

    *status = place->stored;
    if (!S_ISREG(status->st_mode)) {
        status->st_mode = S_IFDIR | S_IRWXU; /* what is in it may still be readable */
        status->st_nlink = 2;
        return;
    }
    status_set_size(status, header.layout.required > 0 ? header.layout.source_size : 0);
    header_mtime(&header, &status->st_mtim);
}

/* Sets STATUS to that of PLACE without a look at a file's shares. */
static int show(const struct opened_source *source, const struct opened_place *place,
                struct stat *status)
{
    const struct manifest_attributes *attributes = attributes_of(place);
    const struct manifest *above = place->above;

    if (attributes)
        show_attributes(attributes, status);
    else
        show_stored(place, status);
    if (place->entry)
        return number_of(source, above->path, place->entry, &status->st_ino);
    status->st_ino = load_le64(place->id); /* the root has none */
    return 0;
}

static int note_inodes(const struct stat *status, const struct opened_place *place,
                       struct source_inodes *ret)
{
    if (!place->entry || !place->entry->attributes.has_link)
        return 0;
    ret->items = malloc(sizeof *ret->items);
    if (!ret->items)
        return -ENOMEM;
    /* No manifest says how many names there are. */
    *ret->items = (struct source_inode){.number = status->st_ino, .names = NAMES_MAX};
    ret->count = 1;
    return 0;
}

static int wrap(const struct opened_source *source, const char *path,
                const struct opened_place *place, struct source_file *sealed,
                struct source_file **ret);

/*
 * Sets STATUS to that of the stores' version of a file, and opens it if that costs nothing more. A
 * file that cannot be read is shown as in the manifest.
 */
static int look_at_file(const struct opened_source *source, const char *path,
                        const struct opened_place *place, struct stat *status,
                        struct share_header *ret_header, struct source_file **ret_file)
{
    struct source *stores = source->places.stores;
    cleanup_source_file struct source_file *sealed = NULL;
    struct share_header header = {0};
    struct stat stored;

    int r = stores->operations->stat(stores, place->ids, &stored, &header,
                                     ret_file ? &sealed : NULL, NULL);
    if (r < 0 || header.layout.required == 0)
        return 0;
    *ret_header = header;
    show_content(&header, status);
    if (!sealed || (header.layout.source_size == 0 && status->st_size != 0))
        return 0;
    return wrap(source, path, place, steal_pointer(sealed), ret_file);
}

static int opened_source_stat(struct source *opaque, const char *path, struct stat *ret,
                              struct share_header *ret_header, struct source_file **ret_file,
                              struct source_inodes *ret_inodes)
{
    const struct opened_source *source = (struct opened_source *)opaque;
    cleanup_opened_place struct opened_place place;
    struct stat status = {0};

    if (ret_file)
        *ret_file = NULL;
    if (ret_inodes)
        *ret_inodes = (struct source_inodes){.items = NULL};
    int r = find_place(opaque, path, &place);
    if (*path == '\0' && (r < 0 || !place.own)) { /* the root is there even without stores */
        *ret = (struct stat){.st_mode = S_IFDIR | S_IRUSR | S_IXUSR, .st_nlink = 2};
        return 0;
    }
    if (r == 0)
        r = show(source, &place, &status);
    if (r == 0 && S_ISREG(status.st_mode))
        *ret_header = place.header;
    if (r == 0 && S_ISREG(status.st_mode) && place.entry && source->places.terms.exact)
        r = look_at_file(source, path, &place, &status, ret_header, ret_file);
    if (r == 0 && ret_inodes)
        r = note_inodes(&status, &place, ret_inodes);
    if (r == 0)
        *ret = status;
    return r;
}

static int opened_source_read_link(struct source *opaque, const char *path, char **ret)
{
    cleanup_opened_place struct opened_place place;

    int r = find_place(opaque, path, &place);
    if (r < 0)
        return r;
    const char *target = place.entry ? place.entry->attributes.target : NULL;
    char *copy = target ? strdup(target) : NULL;
    if (!copy)
        return target ? -ENOMEM : -EINVAL;
    *ret = copy;
    return 0;
}

static int list_entries(const struct opened_source *source, const struct manifest *manifest,
                        struct names *names)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < manifest->count; i++) {
        const struct manifest_entry *entry = &manifest->entries[i];
        struct listed known = {.kind = entry->attributes.mode & S_IFMT};
        r = number_of(source, manifest->path, entry, &known.inode);
        if (r == 0)
            r = names_add_known(names, entry->name, &known);
    }
    return r;
}

static int opened_source_list(struct source *opaque, const char *path, struct names *names)
{
    const struct opened_source *source = (struct opened_source *)opaque;
    const struct opened_terms *terms = &source->places.terms;
    cleanup_opened_place struct opened_place place;
    const size_t first = names->count;

    int r = find_place(opaque, path, &place);
    if (r == 0 && !S_ISDIR(opened_place_type(&place)))
        return -ENOTDIR;
    if (r == 0 && place.own)
        r = list_entries(source, place.own, names);
    if (r == 0 && terms->orphans)
        r = opened_place_orphans(&source->places, &place, names);
    if (r == 0 && !place.own && names->count == first)
        return -EIO; /* it is lost, not empty */
    return r;
}

/* Copies THERE bytes of FROM as lgetxattr(2) does. */
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
    struct source *stores = ((const struct opened_source *)opaque)->places.stores;
    cleanup_opened_place struct opened_place place;
    struct xattr found;

    int r = find_place(opaque, path, &place);
    if (r == 0 || *path == '\0') {
        if (strcmp(name, REPORT_STORES_NAME) == 0 || strcmp(name, REPORT_HEALTH_NAME) == 0)
            return stores->operations->get_xattr(stores, *path ? place.ids : "", name, value, size,
                                                 ret);
    }
    if (r < 0)
        return r;
    const struct manifest_attributes *attributes = attributes_of(&place);
    return attributes && xattrs_find(&attributes->xattrs, name, &found)
               ? reply(found.value, found.size, value, size, ret)
               : -ENODATA;
}

static int opened_source_list_xattr(struct source *opaque, const char *path, char *names,
                                    size_t size, size_t *ret)
{
    cleanup_opened_place struct opened_place place;
    struct xattr own;
    size_t there = 0;

    int r = find_place(opaque, path, &place);
    if (r < 0)
        return r;
    const struct manifest_attributes *attributes = attributes_of(&place);
    const char *at = attributes ? attributes->xattrs.bytes : NULL;
    while (attributes && xattrs_next(&attributes->xattrs, &at, &own)) {
        const size_t length = strlen(own.name) + 1;
        if (size > 0 && there + length <= size)
            memcpy(names + there, own.name, length);
        there += length;
    }
    if (size > 0 && there > size)
        return -ERANGE;
    *ret = there;
    return 0;
}

static int opened_source_read_xattrs(struct source *opaque, const char *path, struct xattrs *ret)
{
    cleanup_opened_place struct opened_place place;
    struct xattr own;

    *ret = NO_XATTRS;
    int r = find_place(opaque, path, &place);
    if (r < 0)
        return r;
    const struct manifest_attributes *attributes = attributes_of(&place);
    if (!attributes && *path == '\0') /* the attributes at the command's target then stay */
        return -EIO;
    const char *at = attributes ? attributes->xattrs.bytes : NULL;
    while (r == 0 && attributes && xattrs_next(&attributes->xattrs, &at, &own))
        r = xattrs_add(ret, own.name, own.value, own.size);
    return r;
}

static int opened_source_statfs(struct source *opaque, struct statvfs *ret)
{
    struct source *stores = ((struct opened_source *)opaque)->places.stores;

    return stores->operations->statfs(stores, ret);
}

static void opened_source_close(struct source_file *opaque)
{
    struct opened_file *file = (struct opened_file *)opaque;

    if (file->sealed)
        source_close(file->sealed);
    free(file);
}

/*
 * Makes a file from its shares, which it takes over. Everything that is read, and the status, is of
 * their version.
 */
static int wrap(const struct opened_source *source, const char *path,
                const struct opened_place *place, struct source_file *sealed,
                struct source_file **ret)
{
    cleanup_source_file struct source_file *shares = sealed, *opened = NULL;
    const struct share_header *header = &sealed->header;
    struct opened_file *file = calloc(1, sizeof *file);

    if (!file)
        return -ENOMEM;
    opened = &file->file;
    file->file.operations = source->source.operations;
    file->sealed = steal_pointer(shares);
    struct stat *status = &file->file.status;
    int r = show(source, place, status);
    if (r < 0)
        return r;
    /* An empty file is only a header, which the key does not verify. */
    if (header->layout.source_size == 0 && (!place->entry || status->st_size != 0))
        return log_as(-EIO, "%s: its shares say that it is empty, and %s", log_path(path),
                      place->entry ? "its directory does not" : "no manifest does");
    const struct seal_place seal = seal_place_of_file(source->keys, place->id);
    file->opener = seal_opener(&seal, &header->layout);
    file->sealed->opener = &file->opener.opener;
    file->file.header = *header;
    file->file.content = file->sealed->content;
    file->file.present = file->sealed->present;
    file->file.distant = file->sealed->distant;
    show_content(header, status);
    *ret = steal_pointer(opened);
    return 0;
}

static int opened_source_open(struct source *opaque, const char *path, unsigned rank,
                              struct source_file **ret)
{
    const struct opened_source *source = (struct opened_source *)opaque;
    struct source *stores = source->places.stores;
    cleanup_opened_place struct opened_place place;
    struct source_file *sealed;

    int r = find_place(opaque, path, &place);
    if (r < 0)
        return r;
    if (!S_ISREG(opened_place_type(&place)))
        return S_ISDIR(opened_place_type(&place)) ? -EISDIR : -EINVAL;
    r = stores->operations->open(stores, place.ids, rank, &sealed);
    if (r == -ENOENT && rank == 0)
        r = log_as(-EIO, "%s: the stores have too few shares of it", log_path(path));
    return r < 0 ? r : wrap(source, path, &place, sealed, ret);
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

int opened_source_new(struct source *stores, struct seal_keys *keys,
                      const struct opened_terms *terms, struct source **ret)
{
    struct opened_source *source = malloc(sizeof *source);

    if (!source) {
        source_free(stores);
        seal_keys_free(keys);
        return -ENOMEM;
    }
    *source = (struct opened_source){
        .source = {.operations = &operations,
                   .live = stores->live,
                   .described = true,
                   .is_private = true,
                   .is_behind = !terms->exact},
        .places = {.stores = stores, .keys = keys, .terms = *terms},
        .keys = keys,
    };
    int r = opened_names_new(stores, keys, &source->places.names);
    if (r < 0)
        opened_source_free(&source->source);
    else
        *ret = &source->source;
    return r;
}
