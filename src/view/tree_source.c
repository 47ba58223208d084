/* SPDX-License-Identifier: MIT */
#include "view/tree_source.h"

#include "base/log.h"
#include "tree/tree.h"

#include <stdbool.h>
#include <string.h>

struct tree_source {
    struct source source;
    struct encoding encoding;
    struct tree *tree;
};

struct tree_file {
    struct source_file file;
    struct stat opened; /* the status when it was opened: the version that is served */
    int fd;
    char path[]; /* for messages */
};

static struct tree *tree_of(struct source *source)
{
    return ((struct tree_source *)source)->tree;
}

static void tree_source_free(struct source *source)
{
    tree_close(tree_of(source));
    free(source);
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
    if (encoding->format == SHARE_FEC)
        header.total = (uint16_t)encoding->shares;
    if (encoding->format == SHARE_CHECKED)
        header.mtime_ns = header_time(&status->st_mtim);
    *ret = header;
    return 0;
}

static int tree_source_stat(struct source *source, const char *path, struct stat *ret,
                            struct share_header *ret_header)
{
    struct stat status;

    int r = tree_stat(tree_of(source), path, &status);
    if (r == 0 && S_ISREG(status.st_mode))
        r = header_of((struct tree_source *)source, &status, ret_header);
    if (r == 0)
        *ret = status;
    return r;
}

static int tree_source_read_link(struct source *source, const char *path, char **ret)
{
    return tree_read_link(tree_of(source), path, ret);
}

static int tree_source_list(struct source *source, const char *path, struct names *names)
{
    return tree_list(tree_of(source), path, names);
}

static int tree_source_get_xattr(struct source *source, const char *path, const char *name,
                                 void *value, size_t size, size_t *ret)
{
    return tree_get_xattr(tree_of(source), path, name, value, size, ret);
}

static int tree_source_list_xattr(struct source *source, const char *path, char *names, size_t size,
                                  size_t *ret)
{
    return tree_list_xattr(tree_of(source), path, names, size, ret);
}

static int tree_source_statfs(struct source *source, struct statvfs *ret)
{
    return tree_statfs(tree_of(source), ret);
}

static void tree_source_close(struct source_file *file)
{
    close(((struct tree_file *)file)->fd);
    free(file);
}

static int tree_source_open(struct source *source, const char *path, struct source_file **ret)
{
    struct tree_file *file = calloc(1, sizeof *file + strlen(path) + 1);

    if (!file)
        return -ENOMEM;
    file->file.operations = source->operations;
    strcpy(file->path, path);
    int r = tree_open_file(tree_of(source), path, &file->opened, &file->fd);
    if (r < 0) {
        free(file);
        return r;
    }
    r = header_of((struct tree_source *)source, &file->opened, &file->file.header);
    if (r < 0) {
        tree_source_close(&file->file);
        return r;
    }
    *ret = &file->file;
    return 0;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Whether the file is no longer the version that was opened. */
static bool has_changed(const struct tree_file *file)
{
    const struct stat *then = &file->opened;
    struct stat now;

    return fstat(file->fd, &now) < 0 || now.st_size != then->st_size ||
           !same_time(&now.st_mtim, &then->st_mtim) || !same_time(&now.st_ctim, &then->st_ctim);
}

static int tree_source_read_stripe(struct source_file *opaque, uint64_t stripe, uint8_t *data)
{
    const struct tree_file *file = (struct tree_file *)opaque;
    const struct share_layout *layout = &opaque->header.layout;
    size_t size = layout_stripe_size(layout, stripe), done = 0;
    uint64_t start = stripe * layout_full_stripe_size(layout);

    while (done < size) {
        ssize_t n = pread(file->fd, data + done, size - done, (off_t)(start + done));
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

static const struct source_operations operations = {
    .free = tree_source_free,
    .stat = tree_source_stat,
    .read_link = tree_source_read_link,
    .list = tree_source_list,
    .get_xattr = tree_source_get_xattr,
    .list_xattr = tree_source_list_xattr,
    .statfs = tree_source_statfs,
    .open = tree_source_open,
    .read_stripe = tree_source_read_stripe,
    .close = tree_source_close,
};

int tree_source_new(const char *path, const struct encoding *encoding, struct source **ret)
{
    cleanup_tree struct tree *tree = NULL;
    cleanup_names struct names names = NO_NAMES;

    int r = tree_open(path, &tree);
    if (r == 0) /* who may not read it should hear so at once */
        r = tree_list(tree, "", &names);
    if (r < 0)
        return r;
    struct tree_source *source = malloc(sizeof *source);
    if (!source)
        return -ENOMEM;
    *source = (struct tree_source){
        .source.operations = &operations,
        .encoding = *encoding,
        .tree = steal_pointer(tree),
    };
    *ret = &source->source;
    return 0;
}
