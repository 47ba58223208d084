/* SPDX-License-Identifier: MIT */
#include "view/sealed_source.h"

#include "base/log.h"
#include "base/times.h"
#include "seal/key_share.h"
#include "view/made_manifests.h"
#include "view/status.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct sealed_source {
    struct source source;
    struct source *tree;
    struct encoding encoding;
    struct master_key *key;
    struct seal_keys *keys; /* derived from it */
    struct sealed_names *names;
    struct made_manifests *manifests;
    struct header_writer key_writer;
    bool shared; /* each share has a file `key` */
};

struct sealed_file {
    struct source_file file;
    struct source_file *plain; /* NULL: it is a manifest, of CONTENT */
    uint8_t *content;
    struct seal_place place;
};

/* What a path of a share stands for. */
struct sealed_path {
    char *path; /* in the source; for a manifest, its directory's; NULL: the share's key */
    bool manifest;
};

static void path_clear(struct sealed_path *path)
{
    free(path->path);
}

#define cleanup_path CLEANUP(path_clear)

static void sealed_source_free(struct source *opaque)
{
    struct sealed_source *source = (struct sealed_source *)opaque;

    if (source->manifests)
        made_manifests_free(source->manifests);
    if (source->names)
        sealed_names_free(source->names);
    source_free(source->tree);
    if (source->keys)
        seal_keys_free(source->keys);
    seal_free(source->key);
    free(source);
}

static int locate(const struct sealed_source *source, const char *path, struct sealed_path *ret)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;

    *ret = (struct sealed_path){.manifest = strcmp(name, MANIFEST_NAME) == 0};
    if (source->shared && strcmp(path, KEY_SHARE_NAME) == 0)
        return 0;
    if (!ret->manifest)
        return sealed_names_find(source->names, path, &ret->path);
    cleanup_free char *directory = strndup(path, slash ? (size_t)(slash - path) : 0);
    return directory ? sealed_names_find(source->names, directory, &ret->path) : -ENOMEM;
}

/* Returns what messages call PATH: the name in the source. */
static char *sealed_source_describe(struct source *opaque, const char *path)
{
    struct sealed_source *source = (struct sealed_source *)opaque;
    const char *slash = strrchr(path, '/');
    char *words;

    if (strcmp(slash ? slash + 1 : path, MANIFEST_NAME) != 0)
        return *path ? sealed_names_find_known(source->names, path) : NULL;
    cleanup_free char *above = strndup(path, slash ? (size_t)(slash - path) : 0);
    cleanup_free char *found = above ? sealed_names_find_known(source->names, above) : NULL;
    if (!found || asprintf(&words, "manifest of %s", log_path(found)) < 0)
        return NULL;
    return words;
}

/* Reduces a status to what nodes may know of a file or directory: the mount's owner, size and
 * time. */
static struct stat conceal(const struct stat *plain)
{
    struct stat status = *plain;

    status.st_mode = S_ISDIR(plain->st_mode) ? S_IFDIR | 0700 : S_IFREG | 0600;
    status.st_nlink = S_ISDIR(plain->st_mode) ? 2 : 1;
    status.st_uid = geteuid();
    status.st_gid = getegid();
    return status;
}

static int header_of_manifest(const struct sealed_source *source, const struct made_manifest *made,
                              struct share_header *ret)
{
    const struct encoding *encoding = &source->encoding;

    *ret = (struct share_header){.mtime_ns = made->time_ns};
    return layout_new(encoding->format, encoding->required, encoding->shares, encoding->block_size,
                      made->size, &ret->layout);
}

static struct stat status_of_manifest(const struct made_manifest *made)
{
    struct stat status = made->status;

    status.st_mode = S_IFREG;
    status = conceal(&status);
    status.st_ino = ~status.st_ino; /* differs from the directory's */
    status.st_mtim = times_of_ns(made->time_ns);
    status.st_ctim = status.st_mtim;
    status_set_size(&status, made->size);
    return status;
}

static int stat_manifest(struct sealed_source *source, const char *path, struct stat *ret,
                         struct share_header *ret_header)
{
    struct made_manifest made;

    int r = made_manifests_get(source->manifests, path, false, &made);
    free(made.content);
    if (source->source.copied) /* its opener follows at once, before anything is forgotten */
        sealed_names_release(source->names, path);
    if (r == 0)
        r = header_of_manifest(source, &made, ret_header);
    if (r == 0)
        *ret = status_of_manifest(&made);
    return r;
}

/* Writes the share of the key for INDEX; an index without one has been refused before. */
static void write_key(const struct header_writer *writer, uint8_t index,
                      uint8_t ret[KEY_SHARE_SIZE], struct timespec *ret_time)
{
    const struct sealed_source *source =
        (const struct sealed_source *)((const char *)writer -
                                       offsetof(struct sealed_source, key_writer));

    if (key_share_make(source->key, source->encoding.required, index, ret) < 0)
        memset(ret, 0, KEY_SHARE_SIZE);
    *ret_time = key_share_time(ret);
}

/* Sets the status of the file `key`, which differs from share to share. */
static int stat_key(struct sealed_source *source, struct stat *ret, struct share_header *ret_header)
{
    struct share_header header;

    int r = source->tree->operations->stat(source->tree, "", ret, &header, NULL, NULL);
    if (r < 0)
        return r;
    *ret_header = (struct share_header){.writer = &source->key_writer};
    r = layout_new(SHARE_KEY, source->encoding.required, source->encoding.shares,
                   source->encoding.block_size, 0, &ret_header->layout);
    ret->st_mode = S_IFREG;
    *ret = conceal(ret);
    ret->st_ino = ~ret->st_ino - 1; /* differs from those of the root and its manifest */
    status_set_size(ret, KEY_SHARE_SIZE);
    return r;
}

static int sealed_source_stat(struct source *opaque, const char *path, struct stat *ret,
                              struct share_header *ret_header, struct source_file **ret_file,
                              struct source_inodes *ret_inodes)
{
    struct sealed_source *source = (struct sealed_source *)opaque;
    cleanup_path struct sealed_path at = {.path = NULL};
    struct stat plain = {0};

    if (ret_file)
        *ret_file = NULL;
    if (ret_inodes)
        *ret_inodes = (struct source_inodes){.items = NULL};
    int r = locate(source, path, &at);
    if (r == 0 && !at.path)
        return stat_key(source, ret, ret_header);
    if (r == 0 && at.manifest)
        return stat_manifest(source, at.path, ret, ret_header);
    if (r == 0) {
        r = source->tree->operations->stat(source->tree, at.path, &plain, ret_header, NULL, NULL);
        if (opaque->copied)
            sealed_names_note(source->names, at.path, r, plain.st_mode);
    }
    if (r == 0 && !S_ISREG(plain.st_mode) && !S_ISDIR(plain.st_mode))
        return -ENOENT; /* the directory's manifest describes it */
    if (r == 0)
        *ret = conceal(&plain);
    return r;
}

static int sealed_source_read_link(struct source *source, const char *path, char **ret)
{
    return -EINVAL;
}

static int sealed_source_list(struct source *opaque, const char *path, struct names *names)
{
    struct sealed_source *source = (struct sealed_source *)opaque;
    cleanup_names struct names plain = NO_NAMES, ids = NO_NAMES;
    cleanup_path struct sealed_path at = {.path = NULL};
    struct share_header header;
    struct stat status = {0};

    int r = locate(source, path, &at);
    if (r == 0 && (at.manifest || !at.path))
        return -ENOTDIR;
    if (r == 0)
        r = (opaque->copied ? sealed_names_hold : sealed_names_list)(source->names, at.path, &plain,
                                                                     &ids);
    if (r == -ENOENT)
        sealed_names_note(source->names, at.path, r, 0);
    for (size_t i = 0; r == 0 && i < ids.count; i++) {
        const mode_t kind = ids.items[i].kind;
        if (kind == 0 || kind == S_IFREG || kind == S_IFDIR)
            r = names_add_known(names, names_get(&ids, i), &ids.items[i]);
    }
    if (r == 0)
        r = source->tree->operations->stat(source->tree, at.path, &status, &header, NULL, NULL);
    const struct listed manifest = {
        .device = status.st_dev, .inode = ~status.st_ino, .kind = S_IFREG};
    const struct listed key = {
        .device = status.st_dev, .inode = ~status.st_ino - 1, .kind = S_IFREG};
    if (r == 0 && source->shared && *path == '\0')
        r = names_add_known(names, KEY_SHARE_NAME, &key);
    return r < 0 ? r : names_add_known(names, MANIFEST_NAME, &manifest);
}

static int sealed_source_get_xattr(struct source *source, const char *path, const char *name,
                                   void *value, size_t size, size_t *ret)
{
    return -ENODATA;
}

static int sealed_source_list_xattr(struct source *source, const char *path, char *names,
                                    size_t size, size_t *ret)
{
    *ret = 0;
    return 0;
}

/* Returns no attributes. But reads those of the source, since they go into the manifest: a failure
 * is then reported as for a plain source. */
static int sealed_source_read_xattrs(struct source *opaque, const char *path, struct xattrs *ret)
{
    struct sealed_source *source = (struct sealed_source *)opaque;
    cleanup_path struct sealed_path at = {.path = NULL};
    CLEANUP(xattrs_clear) struct xattrs plain = NO_XATTRS;

    *ret = NO_XATTRS;
    int r = locate(source, path, &at);
    if (r < 0 || !at.path || at.manifest)
        return r;
    r = source->tree->operations->read_xattrs(source->tree, at.path, &plain);
    if (r == -ENOENT)
        sealed_names_note(source->names, at.path, r, 0);
    return r == -ENOTSUP ? 0 : r;
}

static int sealed_source_statfs(struct source *opaque, struct statvfs *ret)
{
    struct source *tree = ((struct sealed_source *)opaque)->tree;

    return tree->operations->statfs(tree, ret);
}

static void sealed_source_close(struct source_file *opaque)
{
    struct sealed_file *file = (struct sealed_file *)opaque;

    if (file->plain)
        source_close(file->plain);
    free(file->content);
    free(file);
}

static int open_manifest(struct sealed_source *source, const char *path, struct sealed_file *file)
{
    uint8_t header[KEY_SHARE_SIZE];
    struct made_manifest made;

    int r = made_manifests_get(source->manifests, path, true, &made);
    file->content = made.content;
    if (r == 0)
        r = header_of_manifest(source, &made, &file->file.header);
    if (r < 0)
        return r;
    header_write(&file->file.header, header);
    file->place = seal_place_of_manifest(source->keys, header);
    file->file.status = status_of_manifest(&made);
    return 0;
}

static int open_file(struct sealed_source *source, const char *path, struct sealed_file *file)
{
    struct source_file *plain;
    uint8_t id[PATH_ID_SIZE];

    int r = seal_path_id(source->keys, path, id);
    if (r == 0)
        r = source->tree->operations->open(source->tree, path, 0, &plain);
    if (r == -ENOENT)
        sealed_names_note(source->names, path, r, 0);
    if (r < 0)
        return r;
    file->plain = plain;
    file->place = seal_place_of_file(source->keys, id);
    file->file.header = plain->header;
    file->file.status = conceal(&plain->status);
    return 0;
}

static int sealed_source_open(struct source *opaque, const char *path, unsigned rank,
                              struct source_file **ret)
{
    struct sealed_source *source = (struct sealed_source *)opaque;
    cleanup_path struct sealed_path at = {.path = NULL};

    int r = rank > 0 ? -ENOENT : locate(source, path, &at);
    if (r < 0)
        return r;
    struct sealed_file *file = calloc(1, sizeof *file);
    if (!file)
        return -ENOMEM;
    file->file.operations = opaque->operations;
    r = !at.path      ? stat_key(source, &file->file.status, &file->file.header)
        : at.manifest ? open_manifest(source, at.path, file)
                      : open_file(source, at.path, file);
    if (r < 0) {
        sealed_source_close(&file->file);
        return r;
    }
    file->file.present = layout_stripes(&file->file.header.layout);
    *ret = &file->file;
    return 0;
}

static int sealed_source_read_stripe(struct source_file *opaque, uint64_t stripe, uint8_t *data,
                                     uint8_t digest[HASH_SIZE])
{
    const struct sealed_file *file = (const struct sealed_file *)opaque;
    const struct share_layout *layout = &opaque->header.layout;
    size_t size = layout_stripe_size(layout, stripe);
    int r = 0;

    if (file->plain)
        r = file->plain->operations->read_stripe(file->plain, stripe, data, digest);
    else
        memcpy(data, file->content + stripe * layout_full_stripe_size(layout), size);
    if (r < 0)
        return r;
    if (r == SOURCE_ZEROS)
        memset(data, 0, size);
    return seal_stripe(&file->place, stripe, stripe + 1 == layout_stripes(layout), data, size,
                       digest);
}

static const struct source_operations operations = {
    .free = sealed_source_free,
    .stat = sealed_source_stat,
    .describe = sealed_source_describe,
    .read_link = sealed_source_read_link,
    .list = sealed_source_list,
    .get_xattr = sealed_source_get_xattr,
    .list_xattr = sealed_source_list_xattr,
    .read_xattrs = sealed_source_read_xattrs,
    .statfs = sealed_source_statfs,
    .open = sealed_source_open,
    .read_stripe = sealed_source_read_stripe,
    .close = sealed_source_close,
};

int sealed_source_new(struct source *tree, const struct encoding *encoding, struct master_key *key,
                      bool shared, struct source **ret)
{
    struct sealed_source *source = malloc(sizeof *source);
    uint8_t bytes[KEY_SHARE_SIZE];

    if (!source) {
        source_free(tree);
        seal_free(key);
        return -ENOMEM;
    }
    *source = (struct sealed_source){
        .source = {.operations = &operations,
                   .live = true,
                   .is_private = true,
                   .last = MANIFEST_NAME},
        .tree = tree,
        .encoding = *encoding,
        .key = key,
        .key_writer = {write_key},
        .shared = shared,
    };
    int r = seal_keys_new(key->master, &source->keys);
    if (r == 0)
        r = sealed_names_new(tree, source->keys, &source->names);
    if (r == 0)
        r = made_manifests_new(tree, source->keys, source->names, &source->manifests);
    if (r == 0 && shared)
        r = key_share_make(key, encoding->required, encoding->shares - 1, bytes);
    if (r < 0)
        sealed_source_free(&source->source);
    else
        *ret = &source->source;
    return r;
}
