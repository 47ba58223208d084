/* SPDX-License-Identifier: MIT */
/* The copies of one file's shares that lie in the stores, and their blocks. */
#pragma once

#include "base/buffer.h"
#include "choice/version.h"
#include "tree/stores.h"
#include "view/damage.h"
#include "view/look.h"

#include <sys/stat.h>

/* What has to be known of shares whose format does not say it. */
struct share_terms {
    enum share_format format;
    unsigned required; /* k, for classic */
};

/* A file descriptor that reads under way may outlive the set of copies with. */
struct copy_file;

struct copy {
    struct store *store;
    struct copy_file *file;
    struct stat status;
    struct copy_facts facts;
    enum copy_role role;
    /* What reading it has taught; guarded by the user's lock. */
    int index;    /* of its share; -1 until it is known */
    bool trusted; /* it agreed with every stripe that was given */
    bool forged;  /* it had a block whose digest was right, and its payload was not */
    bool failing; /* its store failed, other than by a bad block */
    struct damage damage;
};

struct copies {
    size_t count;
    struct copy items[];
};

/*
 * The files that LOOKS at PATH have opened, which it takes out of them. What is no regular file, or
 * could not be opened, is left out; a store's error is logged. Where nothing is left: the last such
 * error, or -ENOENT. Roles are not set yet.
 */
int copies_new(const struct inquiry *looks, const struct share_terms *terms, const char *path,
               struct copies **ret);

void copies_free(struct copies *copies);

/* A block that is asked for, and what came of it. */
struct block_read {
    struct copy *copy;
    uint64_t offset; /* in the copy */
    size_t size;
    struct buffer block; /* the answer, where RESULT is 0 */
    int result;          /* 0; -ENODATA: the copy is cut off; -ETIMEDOUT; another errno */
};

/* Reads COUNT blocks, at once where stores have threads of their own. Returns 0 or -ENOMEM. */
int copies_read(struct block_read reads[], size_t count);

/*
 * Reads SIZE bytes of a copy in a local store, in this thread. -EAGAIN for one in another store;
 * -ENODATA where it is cut off; another errno.
 */
int copy_read_now(const struct copy *copy, uint64_t offset, size_t size, uint8_t *data);

DEFINE_CLEANUP(struct copies *, copies_free)
#define cleanup_copies CLEANUP(cleanup_by_copies_free)
