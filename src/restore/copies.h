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

/*
 * Takes the file that store number PLACE has opened, if it is a regular one; FACTS are among those
 * of all copies. Its role is COPY_USELESS. Returns 0; -EINPROGRESS or -ENOENT where there is none,
 * -ENOTDIR, why it could not be opened, or a shortage of our own.
 */
int copy_open(const struct inquiry *looks, const struct share_terms *terms, size_t place,
              struct copy_facts *facts, struct copy *ret);

/* Closes the file, and releases the store. Nothing can be read until it has others. */
void copy_close(struct copy *copy);

/* Takes the file and the store of FRESH, which are the same. */
void copy_take_file(struct copy *copy, struct copy *fresh);

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
