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
    bool patient;      /* all stores are waited for, also where some are enough */
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
    bool slow;    /* its store takes much longer than others */
    struct damage damage;
};

struct copies {
    size_t count, room;
    struct copy items[];
};

/* What a look says of a copy: a header that it has, and its size. */
void copy_facts_read(const struct share_terms *terms, const struct look *look,
                     struct copy_facts *ret);

/*
 * The files that LOOKS at PATH have opened, which it takes out of them. What is no regular file, or
 * could not be opened, is left out; a store's error is logged. Where nothing is left: the last such
 * error, or -ENOENT. Roles are not set yet. There is room for those that are pending.
 */
int copies_new(const struct inquiry *looks, const struct share_terms *terms, const char *path,
               struct copies **ret);

void copies_free(struct copies *copies);

/* Closes the files, and lets go of the stores. Nothing can be read until there are others. */
void copies_close_files(struct copies *copies);

/* Takes the files and stores of FRESH, which has the same ones, in the same order. */
void copies_take_files(struct copies *copies, struct copies *fresh);

/*
 * Adds what stores have answered that were pending when the copies were made from LOOKS. Their
 * roles are COPY_USELESS.
 */
int copies_add_late(struct copies *copies, struct inquiry *looks, const struct share_terms *terms,
                    const char *path);

/* A block that was asked for; it lives until the round is left. */
struct block_read {
    enum task_state state;
    struct read_task *task;
};

/* Asks for SIZE bytes of a copy. Returns 0 or -ENOMEM. */
int copy_ask(struct round *round, const struct copy *copy, uint64_t offset, size_t size,
             struct block_read *ret);

/*
 * What came of a block that is not pending any more: 0, and it is the caller's; -ENODATA where the
 * copy is cut off; -ETIMEDOUT; another errno.
 */
int block_read_take(struct block_read *read, struct buffer *ret);

/*
 * Reads SIZE bytes of a copy in a local store, in this thread. -EAGAIN for one in another store;
 * -ENODATA where it is cut off; another errno.
 */
int copy_read_now(const struct copy *copy, uint64_t offset, size_t size, uint8_t *data);

DEFINE_CLEANUP(struct copies *, copies_free)
#define cleanup_copies CLEANUP(cleanup_by_copies_free)
