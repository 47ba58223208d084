/* SPDX-License-Identifier: MIT */
/*
 * A directory tree that a command writes, one share of a source's files or the files themselves,
 * and a name in it.
 */
#pragma once

#include "tree/metadata.h"
#include "tree/temporary.h"
#include "tree/tree.h"
#include "view/source.h"

#include <stdatomic.h>

enum { TARGET_WHOLE = -1 };

struct target {
    const struct tree *tree;
    const char *name; /* for messages */
    int share;        /* the index of the share that it holds; TARGET_WHOLE: the files themselves */
    uint64_t time_unit; /* files get times that are whole multiples of so many ns; 0: exact ones */
    bool fresh;         /* nothing is in it yet that others go by */
    int root;           /* its own: open for syncfs(2) and flock(2) */
    mode_t mode_before; /* its own: the root's, until it was opened to its owner; 0: the same */
    dev_t device;       /* its own: what syncfs(2) of the root writes out; 0: nothing */
    /* The copy's own: whether it takes any writes, asked when one has failed. */
    _Atomic enum closed {
        CLOSED_UNKNOWN,
        CLOSED_NOT,
        CLOSED_WHOLLY, /* and that has been told */
    } closed;
};

/* What a name is in the source. */
struct original {
    const char *path;
    const char *name; /* its last part */
    struct stat status;
    struct share_header header; /* of a file's shares; required is 0 where that is not known */
    char *link_target;          /* of a symlink */
    struct xattrs xattrs;
};

/* What a name stood for when it was looked at, to notice later changes by others. */
struct seen {
    int error; /* 0, or why nothing was seen: -ENOENT, ... */
    struct stat status;
    bool keeps_mode; /* the caller's: mode and owner are to stay as they are */
    bool other_kind; /* the caller's: than what is to be there */
};

void seen_take(int directory, const char *name, struct seen *ret);

/* Returns true if it is not known what is there: it must not be changed or replaced. */
bool seen_failed(const struct seen *seen);

/* Returns true if NAME in DIRECTORY is what was seen, as far as inode, size and mtime tell. */
bool seen_is_there(int directory, const char *name, const struct seen *seen);

/* One name in one target. Any thread may change what is atomic. */
struct slot {
    struct target *target;
    int directory; /* that holds the name; below 0: it is not there */
    enum need {    /* what has to be done */
                NEED_NOTHING,
                NEED_METADATA,
                NEED_CONTENT, /* and metadata */
                NEED_REMOVAL,
                NEED_REFUSED, /* it cannot be done; that has been said */
    } need;
    struct seen *seen; /* before the need was chosen: nothing else may give way; NULL: anything */
    char temporary[TEMPORARY_NAME_SIZE]; /* of what is being made */
    int fd;                              /* of a file that is made or compared; else below 0 */
    atomic_int result;                   /* of that: 0, or the first error */
    atomic_uint_fast64_t written;        /* stands for all that was written */
    atomic_bool has_holes;               /* of these nothing was written */
    int earlier; /* what an earlier run could read of the file that is made; else below 0 */
};

/*
 * Opens the root and locks it against other runs. With WRITE, a user who is not root gets write
 * permission for it. Returns -EBUSY if another run has it, or the error of opening it.
 */
int target_begin(struct target *target, bool write);

/* UNDO: nothing was written, so the root becomes as it was before. */
void target_end(struct target *target, bool undo);

/*
 * Writes out all changes in the target, names as well, except on other file systems than its root's
 * and beyond a network. Returns 0 or a negative errno.
 */
int target_settle(const struct target *target);

/*
 * Opens a file or directory that has to be written out by itself: *RET is -1 where target_settle
 * does it. Returns 0 or a negative errno.
 */
int target_open_unsettled(const struct target *target, int directory, const char *name, int *ret);

/* Writes out one that is open; a directory with the names in it. Returns 0 or a negative errno. */
int target_settle_open(int fd);

/* Returns the size of a file in the target, by the header of its shares. */
uint64_t target_file_size(const struct target *target, const struct share_header *header);

/*
 * Makes the header that a share begins with in the target. Returns its size, 0 in a target of whole
 * files.
 */
size_t target_file_header(const struct target *target, const struct share_header *header,
                          uint8_t ret[KEY_SHARE_SIZE]);

/* Returns what to do for ORIGINAL in a slot: by kind, size, time and header. */
enum need slot_compare(const struct slot *slot, const struct original *original);
