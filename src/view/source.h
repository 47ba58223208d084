/* SPDX-License-Identifier: MIT */
/*
 * The interface from which a view gets its files: a tree of directories, and files in stripes. It
 * is implemented by source trees (tree_source.h) and by stores of shares (store_source.h).
 *
 * Paths, errors and threads as in view.h.
 */
#pragma once

#include "base/names.h"
#include "base/xattrs.h"
#include "share/stripe.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

struct source {
    const struct source_operations *operations;
    bool live;              /* its content may change at any time */
    bool described;         /* what a directory says once describes all files in it */
    bool is_behind;         /* stat of a file may describe another version than open gives */
    atomic_bool is_private; /* the way to it was not open to everyone when last looked at */
    atomic_bool distant;    /* its answers may take long */
    /* The name in each directory that describes the others, and is copied after them; or NULL. */
    const char *last;
    /* It is being copied: LAST describes what was listed and found for the copy. */
    bool copied;
};

/* An open file. */
struct source_file {
    const struct source_operations *operations;
    /* The layout and version of its shares; its index means nothing. */
    struct share_header header;
    struct stat status; /* as by stat when it was opened */
    uint64_t content;   /* as in struct view_file */
    uint64_t present;   /* stripes of which anything may be there; later ones cannot be read */
    bool distant;       /* reading a stripe may take long; many can be read at once */
    /* Opens its stripes; set by whoever opened the file. NULL: they are read as they are. */
    const struct stripe_opener *opener;
};

enum { SOURCE_ZEROS = 1 };

/*
 * The object behind a name in one of the trees of a source. In one tree, names of the same object
 * are hard links; trees may disagree.
 */
struct source_inode {
    const void *tree; /* only for comparison; NULL: the source has just one tree */
    dev_t device;
    ino_t number;
    nlink_t names; /* link count in that tree */
};

struct source_inodes {
    struct source_inode *items; /* at most one for each tree */
    size_t count;
    unsigned needed; /* trees that must agree that two names are one file; 0: any one */
};

static inline void source_inodes_clear(struct source_inodes *inodes)
{
    free(inodes->items);
    *inodes = (struct source_inodes){.items = NULL};
}

struct source_operations {
    void (*free)(struct source *source);

    /*
     * The status of the object itself, and for a regular file the header of its shares, where
     * required is 0 if it is not known. RET_FILE, unless it is NULL: the opened file if that took
     * no extra work; NULL does not mean that it cannot be opened. RET_INODES, unless it is NULL:
     * the object in each tree, if one of them says that it has several names, otherwise none; the
     * caller clears them. Directories have none.
     */
    int (*stat)(struct source *source, const char *path, struct stat *ret,
                struct share_header *ret_header, struct source_file **ret_file,
                struct source_inodes *ret_inodes);

    /* Returns what messages call PATH, which the caller frees; NULL: PATH itself. The operation may
     * be NULL as well. */
    char *(*describe)(struct source *source, const char *path);

    int (*read_link)(struct source *source, const char *path, char **ret);
    int (*list)(struct source *source, const char *path, struct names *names);
    int (*get_xattr)(struct source *source, const char *path, const char *name, void *value,
                     size_t size, size_t *ret);
    int (*list_xattr)(struct source *source, const char *path, char *names, size_t size,
                      size_t *ret);

    /* The attributes that a copy should have. Clear RET in any case. */
    int (*read_xattrs)(struct source *source, const char *path, struct xattrs *ret);

    int (*statfs)(struct source *source, struct statvfs *ret);

    /* Opens the version that is RANK versions behind the best one; -ENOENT if there is none. */
    int (*open)(struct source *source, const char *path, unsigned rank, struct source_file **ret);

    /*
     * Reads stripe t < T to DATA, which has room for k*u bytes: all of it, or an error. Returns
     * SOURCE_ZEROS if it is nothing but zeros, which are then not written. In a sealed format, also
     * its DIGEST.
     */
    int (*read_stripe)(struct source_file *file, uint64_t stripe, uint8_t *data,
                       uint8_t digest[HASH_SIZE]);

    /*
     * Returns true if a stripe is known to be nothing but zeros, without reading it. NULL: that
     * cannot be known.
     */
    bool (*is_hole)(struct source_file *file, uint64_t stripe);

    void (*close)(struct source_file *file);
};

static inline void source_free(struct source *source)
{
    source->operations->free(source);
}

static inline void source_close(struct source_file *file)
{
    file->operations->close(file);
}

DEFINE_CLEANUP(struct source *, source_free)
DEFINE_CLEANUP(struct source_file *, source_close)
#define cleanup_source      CLEANUP(cleanup_by_source_free)
#define cleanup_source_file CLEANUP(cleanup_by_source_close)
