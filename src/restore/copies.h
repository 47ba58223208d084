/* SPDX-License-Identifier: MIT */
/* The copies of one file's shares that lie in the stores, and their blocks. */
#pragma once

#include "base/buffer.h"
#include "restore/damage.h"
#include "restore/look.h"
#include "restore/terms.h"
#include "store/stores.h"
#include "trust/version.h"

#include <sys/stat.h>

/* A file descriptor that reads under way may outlive the set of copies with. */
struct copy_file;

struct copy {
    struct store *store;
    struct copy_file *file;
    struct stat status; /* when it was opened */
    int voter;          /* of its store, as store_list_voter */
    bool one_mode_only; /* its store shows one mode and owner for everything */
    struct copy_facts facts;
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
    bool slow;    /* its store takes much longer than others */
    size_t side;  /* of the conflict in content_trust, as gather_side; 0: none */
    struct damage damage;
};

struct copies {
    size_t count, room;
    size_t denied; /* copies that this user may not read */
    int unread;    /* why a copy could not be opened, if that is no verdict on it; else 0 */
    struct copy items[];
};

/* What the look at store number PLACE says of the copy there: a header that it has, and its size.
 */
void copy_facts_read(const struct share_terms *terms, const struct inquiry *looks, size_t place,
                     struct copy_facts *ret);

/*
 * Takes the files that LOOKS at PATH have opened. What is no regular file, or could not be opened,
 * is left out; a store's error is logged. If nothing is left, returns the last such error, or
 * -ENOENT; a shortage of our own is returned as it is. Roles are not set yet. There is room for
 * those that are pending.
 */
int copies_new(const struct inquiry *looks, const struct share_terms *terms, const char *path,
               struct copies **ret);

/* What is known of each copy, in their order; the caller frees it. NULL without memory. */
struct copy_facts *copies_facts(const struct copies *copies);

/* Puts FACTS, in the order of copies_facts, back into the copies. */
void copies_take_facts(struct copies *copies, const struct copy_facts facts[]);

void copies_free(struct copies *copies);

/* Closes the files, and releases the stores. Nothing can be read until there are others. */
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
 * copy is cut off; -ESTALE where its file, in a local store, is not the one that was opened any
 * more; -ETIMEDOUT; another errno.
 */
int block_read_take(struct block_read *read, struct buffer *ret);

/*
 * Reads SIZE bytes of a copy in a local store, in this thread. -EAGAIN for one in another store;
 * else as block_read_take.
 */
int copy_read_now(const struct copy *copy, uint64_t offset, size_t size, uint8_t *data);

DEFINE_CLEANUP(struct copies *, copies_free)
#define cleanup_copies CLEANUP(cleanup_by_copies_free)
