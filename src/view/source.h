/* SPDX-License-Identifier: MIT */
/*
 * The interface by which a view gets its files: a tree of directories, and files that come in
 * stripes. A source tree (tree_source.h) or stores of shares (store_source.h) are behind it.
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
    bool live;      /* what it shows may be another thing each time that it is asked */
    bool is_behind; /* stat of a file may tell of another version than the one that open gives */
    atomic_bool is_private; /* the way to it is not open to everyone: when its root was looked at */
    atomic_bool distant;    /* its answers may take long */
    /* In each directory the name that tells of the others, and is copied after them; or NULL. */
    const char *last;
    /* It is being copied: what LAST tells of is what was listed and found for the copy. */
    bool copied;
};

/* An open file. */
struct source_file {
    const struct source_operations *operations;
    /* How its shares are laid out, and of which version they are; its index means nothing. */
    struct share_header header;
    struct stat status; /* when it was opened, as stat has it */
    uint64_t content;   /* as struct view_file has it */
    uint64_t present; /* stripes at most that there is something of: those behind cannot be read */
    bool distant;     /* to read a stripe may take long; many can be read at once */
    /* What its stripes are opened with, by who opened the file; NULL: they are read as they are. */
    const struct stripe_opener *opener;
};

enum { SOURCE_ZEROS = 1 };

/*
 * The object that a name stands for in one of the trees that a source is made of. Of one tree,
 * names of the same object are links to it; what trees say may differ.
 */
struct source_inode {
    const void *tree; /* which one, to be compared alone; NULL: the source is just one tree */
    dev_t device;
    ino_t number;
    nlink_t names; /* so many the tree says that it has */
};

struct source_inodes {
    struct source_inode *items; /* at most one for each tree */
    size_t count;
    unsigned needed; /* trees that have to say that two names are one, to be believed; 0: any */
};

static inline void source_inodes_clear(struct source_inodes *inodes)
{
    free(inodes->items);
    *inodes = (struct source_inodes){.items = NULL};
}

struct source_operations {
    void (*free)(struct source *source);

    /*
     * The status of the object itself, and for a regular file the header of its shares; required
     * is 0 there where it is not known. RET_FILE, unless it is NULL: the file, opened, where it
     * came to hand; NULL does not mean that it cannot be opened. RET_INODES, unless it is NULL:
     * what each tree has, where one of them says that the object has several names, and else none;
     * the caller clears them. Directories have none.
     */
    int (*stat)(struct source *source, const char *path, struct stat *ret,
                struct share_header *ret_header, struct source_file **ret_file,
                struct source_inodes *ret_inodes);

    /* What messages call PATH, which the caller frees, or NULL: that is what it is called. The
     * operation may be NULL as well. */
    char *(*describe)(struct source *source, const char *path);

    int (*read_link)(struct source *source, const char *path, char **ret);
    int (*list)(struct source *source, const char *path, struct names *names);
    int (*get_xattr)(struct source *source, const char *path, const char *name, void *value,
                     size_t size, size_t *ret);
    int (*list_xattr)(struct source *source, const char *path, char *names, size_t size,
                      size_t *ret);

    /* The attributes that a copy should have, too. Clear RET in any case. */
    int (*read_xattrs)(struct source *source, const char *path, struct xattrs *ret);

    int (*statfs)(struct source *source, struct statvfs *ret);

    /* The version that is RANK versions behind the best one; -ENOENT behind the last one. */
    int (*open)(struct source *source, const char *path, unsigned rank, struct source_file **ret);

    /*
     * Stripe t < T to DATA, which has room for k*u bytes: all of it, or an error. SOURCE_ZEROS
     * where it is nothing but zeros; they are not written then. In a format that is sealed also its
     * DIGEST.
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
