/* SPDX-License-Identifier: MIT */
/* The copies of one file's shares that lie in the stores, and their blocks. */
#pragma once

#include "base/buffer.h"
#include "restore/damage.h"
#include "restore/look.h"

/* A file descriptor that reads under way may outlive the set of copies with. */
struct copy_file;

struct copy {
    struct store *store;
    struct copy_file *file;
    struct ballot ballot;     /* when it was opened; but SLOW is that of the last look */
    struct copy_facts *facts; /* among those of all copies */
    enum copy_role role;
    /* What reading it has taught; guarded by the user's lock. */
    int index;    /* of its share; -1 until it is known */
    bool bound;   /* it has no header, but its blocks are the version's */
    bool shares;  /* some block of it has the digest of a member's */
    bool trusted; /* it agreed with every stripe that was given though blocks contradicted it */
    bool differs; /* an intact block of it is not what was given: it is of another content */
    bool forged;  /* it had an intact block that is not what it should be by the others */
    bool changed; /* the file is no more what it was when it was opened */
    bool failing; /* its store failed, other than by a bad block */
    size_t side;  /* of the conflict in content_trust, as gather_side; 0: none */
    struct damage damage;
};

struct copies {
    size_t count, room;
    size_t denied; /* copies that this user may not read */
    int unread;    /* why a copy could not be opened, if that is no verdict on it; else 0 */
    struct copy_facts *facts; /* in their order */
    struct copy items[];
};

/*
 * Takes the files that LOOKS at PATH have opened. What is no regular file, or could not be opened,
 * is left out; a store's error is logged. If nothing is left, returns the last such error, or
 * -ENOENT; a shortage of our own is returned as it is. Roles are COPY_USELESS until they are set.
 */
int copies_new(const struct inquiry *looks, const struct share_terms *terms, const char *path,
               struct copies **ret);

/* Adds what stores have answered that were pending when the copies were made from LOOKS. */
int copies_add_late(struct copies *copies, const struct inquiry *looks,
                    const struct share_terms *terms, const char *path);

void copies_free(struct copies *copies);

/* Closes the files, and releases the stores. Nothing can be read until there are others. */
void copies_close_files(struct copies *copies);

/* Takes the files and stores of FRESH, which has the same ones, in the same order. */
void copies_take_files(struct copies *copies, struct copies *fresh);

/* Asks for SIZE bytes of a copy: *RET is the round's. Returns 0 or -ENOMEM. */
int copy_ask(struct round *round, const struct copy *copy, uint64_t offset, size_t size,
             struct task **ret);

/*
 * What came of what copy_ask asked for, when it is not pending any more: 0, and it is the caller's;
 * -ENODATA where the copy is cut off; -ESTALE where its file, in a local store, is not the one that
 * was opened any more; -ETIMEDOUT; another errno.
 */
int block_read_take(struct task *task, struct buffer *ret);

/* Asks for SIZE bytes of a copy and waits for them; as block_read_take. */
int copy_read(const struct copy *copy, uint64_t offset, size_t size, struct buffer *ret);

/* The same for a copy in a local store, in this thread; -EAGAIN for one in another store. */
int copy_read_now(const struct copy *copy, uint64_t offset, size_t size, uint8_t *data);

DEFINE_CLEANUP(struct copies *, copies_free)
#define cleanup_copies CLEANUP(cleanup_by_copies_free)
