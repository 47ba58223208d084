/* SPDX-License-Identifier: MIT */
#include "view/tree_source.h"

#include "base/io.h"
#include "base/log.h"
#include "base/times.h"
#include "tree/mounts.h"
#include "tree/tree.h"
#include "tree/whereabouts.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    /* Many file systems keep times only to the kernel's ticks: 10 ms. */
    TICK_NS = 10 * 1000 * 1000,
    TICKS_MAX = 5, /* maximum that is waited for */
};

struct tree_source {
    struct source source;
    struct encoding encoding;
    struct tree_rules rules;
    struct tree *tree;
    atomic_uint left_out; /* how often a directory that a mount writes to was left out */
};

struct tree_file {
    struct source_file file;
    int fd;
    bool torn_allowed, is_sparse;
    char path[]; /* for messages */
};

static struct tree *tree_of(struct source *source)
{
    return ((struct tree_source *)source)->tree;
}

static struct excludes *excludes_of(struct source *source)
{
    return ((struct tree_source *)source)->rules.excludes;
}

static void tree_source_free(struct source *source)
{
    tree_close(tree_of(source));
    excludes_free(excludes_of(source));
    free(source);
}

/* Returns -ENOENT if PATH, which may be a directory, is excluded; MATCH as in exclude.h. */
static int check_excluded(struct source *source, const char *path,
                          bool (*match)(const struct excludes *, const char *, bool))
{
    const struct excludes *excludes = excludes_of(source);
    struct stat status;

    if (match(excludes, path, false))
        return -ENOENT;
    if (!match(excludes, path, true))
        return 0;
    int r = tree_stat(tree_of(source), path, &status);
    return r == 0 && S_ISDIR(status.st_mode) ? -ENOENT : r;
}

static int header_of(const struct tree_source *source, const struct stat *status,
                     struct share_header *ret)
{
    const struct encoding *encoding = &source->encoding;
    struct share_header header = {0};

    int r = layout_new(encoding->format, encoding->required, encoding->shares, encoding->block_size,
                       (uint64_t)status->st_size, &header.layout);
    if (r < 0)
        return r;
    if (formats[encoding->format]->has_total)
        header.total = (uint16_t)encoding->shares;
    if (formats[encoding->format]->has_checks)
        header.mtime_ns = header_time(&status->st_mtim);
    *ret = header;
    return 0;
}

/*
 * Returns true if a mount writes to the directory under another name: such a source would never
 * end. With xdev, the root of another file system is empty anyway. Logs once for all passes.
 */
static bool is_left_out(struct tree_source *source, const char *path, const struct stat *status)
{
    if (!whereabouts_is_claimed(status, WHEREABOUTS_WRITTEN) ||
        (source->rules.one_file_system && tree_device(source->tree) != status->st_dev))
        return false;
    if (atomic_fetch_add(&source->left_out, 1) == 0)
        log_warning("%s/%s: left out, it is written to under another name, by a mount",
                    tree_name(source->tree), path);
    return true;
}

static int tree_source_stat(struct source *source, const char *path, struct stat *ret,
                            struct share_header *ret_header, struct source_file **ret_file,
                            struct source_inodes *ret_inodes)
{
    struct stat status;

    if (ret_file)
        *ret_file = NULL;
    if (ret_inodes)
        *ret_inodes = (struct source_inodes){.items = NULL};

    int r = tree_stat(tree_of(source), path, &status);
    if (r == 0 && excludes_match(excludes_of(source), path, S_ISDIR(status.st_mode)))
        return -ENOENT;
    if (r == 0 && is_left_out((struct tree_source *)source, path, &status))
        return -ENOENT;
    if (r == 0 && S_ISREG(status.st_mode))
        r = header_of((struct tree_source *)source, &status, ret_header);
    if (r < 0)
        return r;
    if (ret_inodes && !S_ISDIR(status.st_mode) && status.st_nlink > 1) {
        struct source_inode *item = malloc(sizeof *item);
        if (!item)
            return -ENOMEM;
        *item = (struct source_inode){NULL, status.st_dev, status.st_ino, status.st_nlink};
        *ret_inodes = (struct source_inodes){.items = item, .count = 1};
    }
    *ret = status;
    return 0;
}

static int tree_source_read_link(struct source *source, const char *path, char **ret)
{
    int r = check_excluded(source, path, excludes_match);

    return r < 0 ? r : tree_read_link(tree_of(source), path, ret);
}

static int tree_source_list(struct source *source, const char *path, struct names *names)
{
    const struct excludes *excludes = excludes_of(source);
    cleanup_names struct names all = NO_NAMES;

    if (excludes_is_empty(excludes))
        return tree_list(tree_of(source), path, names);
    int r = excludes_match(excludes, path, true) ? -ENOENT : 0;
    if (r == 0)
        r = tree_list(tree_of(source), path, &all);
    for (size_t i = 0; r == 0 && i < all.count; i++) {
        cleanup_free char *whole = NULL;
        if (asprintf(&whole, "%s%s%s", path, *path ? "/" : "", names_get(&all, i)) < 0)
            return -ENOMEM;
        /* The directory is not excluded; the name may be, or may have gone meanwhile. */
        r = check_excluded(source, whole, excludes_match_entry);
        if (r == 0)
            r = names_add_known(names, names_get(&all, i), &all.items[i]);
        r = r == -ENOMEM ? r : 0;
    }
    return r;
}

static int tree_source_get_xattr(struct source *source, const char *path, const char *name,
                                 void *value, size_t size, size_t *ret)
{
    int r = check_excluded(source, path, excludes_match);

    return r < 0 ? r : tree_get_xattr(tree_of(source), path, name, value, size, ret);
}

static int tree_source_list_xattr(struct source *source, const char *path, char *names, size_t size,
                                  size_t *ret)
{
    int r = check_excluded(source, path, excludes_match);

    return r < 0 ? r : tree_get_xattr(tree_of(source), path, NULL, names, size, ret);
}

static int tree_source_read_xattrs(struct source *source, const char *path, struct xattrs *ret)
{
    int r = check_excluded(source, path, excludes_match);

    *ret = NO_XATTRS;
    return r < 0 ? r : tree_read_xattrs(tree_of(source), path, NULL, ret);
}

static int tree_source_statfs(struct source *source, struct statvfs *ret)
{
    return tree_statfs(tree_of(source), ret);
}

static void tree_source_close(struct source_file *file)
{
    cleanup_close_fd(&((struct tree_file *)file)->fd);
    free(file);
}

/*
 * Waits until a further change of a file that changed just now would show in its times. Otherwise
 * shares read before and after that change would claim to be of one version.
 */
static int wait_for_tick(struct tree_file *file)
{
    struct stat *status = &file->file.status;

    for (int i = 0; i < TICKS_MAX; i++) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        time_t seconds = now.tv_sec - status->st_ctim.tv_sec;
        long age = seconds * 1000000000 + now.tv_nsec - status->st_ctim.tv_nsec;
        if (seconds < 0 || seconds > 1 || age >= TICK_NS || age < 0)
            break;
        nanosleep(&(struct timespec){.tv_nsec = TICK_NS - age}, NULL);
        if (fstat(file->fd, status) < 0)
            return -errno;
    }
    return 0;
}

static int tree_source_open(struct source *opaque, const char *path, unsigned rank,
                            struct source_file **ret)
{
    const struct tree_source *source = (struct tree_source *)opaque;
    struct tree_file *file;

    if (rank > 0 || excludes_match(source->rules.excludes, path, false))
        return -ENOENT;
    file = calloc(1, sizeof *file + strlen(path) + 1);
    if (!file)
        return -ENOMEM;
    file->file.operations = opaque->operations;
    file->torn_allowed = source->rules.torn_allowed;
    strcpy(file->path, path);
    struct stat *status = &file->file.status;
    int r = tree_open_file(source->tree, path, status, &file->fd);
    if (r < 0)
        file->fd = -1;
    if (r == 0 && !file->torn_allowed)
        r = wait_for_tick(file);
    if (r == 0)
        r = header_of(source, status, &file->file.header);
    if (r < 0) {
        tree_source_close(&file->file);
        return r;
    }
    file->file.present = layout_stripes(&file->file.header.layout);
    file->is_sparse = status->st_blocks < status->st_size / 512;
    *ret = &file->file;
    return 0;
}

/* Returns true if the file is no longer the version that was opened. */
static bool has_changed(const struct tree_file *file)
{
    const struct stat *then = &file->file.status;
    struct stat now;

    return fstat(file->fd, &now) < 0 || now.st_size != then->st_size ||
           times_compare(&now.st_mtim, &then->st_mtim) != 0 ||
           times_compare(&now.st_ctim, &then->st_ctim) != 0;
}

static int tree_source_read_stripe(struct source_file *opaque, uint64_t stripe, uint8_t *data,
                                   uint8_t digest[HASH_SIZE])
{
    const struct tree_file *file = (struct tree_file *)opaque;
    const struct share_layout *layout = &opaque->header.layout;
    size_t size = layout_stripe_size(layout, stripe), done = 0;
    off_t start = (off_t)(stripe * layout_full_stripe_size(layout));
    bool hole = false;

    if (file->is_sparse) {
        off_t found = lseek(file->fd, start, SEEK_DATA);
        hole = found < 0 ? errno == ENXIO : found >= start + (off_t)size;
    }
    int r = hole ? 0 : io_read(file->fd, (uint64_t)start, data, size, &done);
    if (r < 0)
        return log_errno(r, "%s: cannot read the source", file->path);
    if (file->torn_allowed) {
        if (!hole)
            memset(data + done, 0, size - done);
    } else if ((!hole && done < size) || has_changed(file)) {
        log_error("%s: changed while its share was being read; read it again", file->path);
        return -EIO;
    }
    return hole ? SOURCE_ZEROS : 0;
}

static const struct source_operations operations = {
    .free = tree_source_free,
    .stat = tree_source_stat,
    .read_link = tree_source_read_link,
    .list = tree_source_list,
    .get_xattr = tree_source_get_xattr,
    .list_xattr = tree_source_list_xattr,
    .read_xattrs = tree_source_read_xattrs,
    .statfs = tree_source_statfs,
    .open = tree_source_open,
    .read_stripe = tree_source_read_stripe,
    .close = tree_source_close,
};

int tree_source_new(const char *path, const struct encoding *encoding,
                    const struct tree_rules *rules, struct source **ret)
{
    cleanup_excludes struct excludes *excludes = rules->excludes;
    cleanup_tree struct tree *tree = NULL;
    cleanup_names struct names names = NO_NAMES;

    int r = tree_open(path, &tree);
    if (r == 0) /* a user who may not read it should be told at once */
        r = tree_list(tree, "", &names);
    bool private = false;
    if (r == 0)
        r = mounts_closed_way(path, &private);
    if (r < 0)
        return r;
    tree_stay(tree, rules->one_file_system);
    struct tree_source *source = malloc(sizeof *source);
    if (!source)
        return -ENOMEM;
    *source = (struct tree_source){
        .source = {.operations = &operations, .live = true, .is_private = private},
        .encoding = *encoding,
        .rules = *rules,
        .tree = steal_pointer(tree),
    };
    excludes = NULL; /* the source has taken them over */
    *ret = &source->source;
    return 0;
}
