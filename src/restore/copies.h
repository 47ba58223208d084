/* SPDX-License-Identifier: MIT */
/* The copies of one file's shares that lie in the stores, and their blocks. */
#pragma once

#include "base/buffer.h"
#include "restore/damage.h"
#include "restore/look.h"
#include "share/block.h"

#include <pthread.h>

/* A file descriptor. Reads under way keep it open, also after the set of copies is freed. */
struct copy_file;

struct copy {
    struct store *store;
    struct copy_file *file;
    struct ballot ballot;     /* when it was opened; but SLOW is that of the last look */
    struct copy_facts *facts; /* among those of all copies */
    enum copy_role role;
    /* What reading has shown; guarded by the lock of the set. */
    int index;    /* of its share; -1 until it is known */
    bool bound;   /* it has no header, but its blocks are the version's */
    bool shares;  /* some block of it has the digest of a member's */
    bool trusted; /* it agreed with each stripe that was returned and that blocks contradicted */
    bool differs; /* an intact block of it differs from a stripe that was returned: other content */
    bool forged;  /* the other shares contradict one of its intact blocks */
    bool changed; /* the file has changed since it was opened */
    int failure;  /* its store's first error other than a bad block; 0: none */
    size_t side;  /* of the conflict in content_trust, as gather_side; 0: none */
    struct damage damage;
};

/* What is known of the contents of an open file. */
struct content_trust {
    bool contested; /* a stripe was returned that intact blocks contradicted */
    bool bound;     /* copies without a header were compared with all versions */
    bool missed;    /* a store did not answer in time while copies were compared with versions */
    bool conflict;  /* a stripe has two contents with equal claims; the first such one: */
    uint64_t conflict_stripe;
};

struct share_set {
    char *path; /* for messages */
    struct share_terms terms;
    struct quorum quorum;
    struct version version; /* where no version is usable: the best of the others */
    enum shares_verdict {
        SHARES_USABLE,
        SHARES_CONFLICT,   /* two versions of one time are complete, in equally many stores */
        SHARES_INCOMPLETE, /* no version has the shares that it needs */
        SHARES_NONE,       /* no copy has an intact header */
    } verdict;
    bool plain;                   /* special bits are not shown */
    struct stripe_opener *prover; /* of sealed stripes that are not opened; NULL: there is no key */
    size_t denied;                /* copies that this user may not read */
    int unread; /* the error of opening a copy, where that says nothing about the copy; else 0 */
    pthread_mutex_t late_lock; /* taken before the other one, to wait for: */
    struct inquiry late;       /* looks of which some are pending */
    pthread_mutex_t lock;      /* guards what reading shows of the copies, and: */
    struct content_trust trust;
    bool partial;                       /* there are such looks */
    bool told_conflict;                 /* a conflict between contents was logged */
    struct damage lost;                 /* stripes that could not be restored */
    struct damage dead;                 /* those of them that no further try can restore */
    struct damage undecided;            /* and those for which the search took too long */
    size_t count, room;                 /* of the copies */
    struct copy_facts *facts;           /* of each of them */
    int (*bind)(struct share_set *set); /* binding_run: it reads blocks, as what calls it does */
    struct copy copies[];
};

/* Adds the copies that stores have answered with (roles: COPY_USELESS), and logs which failed.
 * Returns a shortage, or the last error of a store, or -ENOENT. */
int copies_add(struct share_set *set, const struct inquiry *looks);

/* Sets the role that each copy from number FIRST on has in the set's version. */
void copies_set_roles(struct share_set *set, size_t first);

/* Waits for the stores that are late, and adds their copies. Returns 0 or a shortage. */
int copies_wait_for_late(struct share_set *set);

/* Closes the file, and releases the store. Nothing can be read until it has others. */
void copy_close(struct copy *copy);

/* Takes over the file and the store of FRESH, which is a copy of the same file. */
void copy_take_file(struct copy *copy, struct copy *fresh);

/* Asks for SIZE bytes of a copy. The round owns *RET. Returns 0 or -ENOMEM. */
int copy_ask(struct round *round, const struct copy *copy, uint64_t offset, size_t size,
             struct task **ret);

/*
 * Returns the result of what copy_ask asked for, once that is not pending: 0, and the caller owns
 * the bytes; -ENODATA where the copy is cut off; -ESTALE where its file, in a local store, has
 * changed since it was opened; -ETIMEDOUT; or another errno.
 */
int block_read_take(struct task *task, struct buffer *ret);

/* Asks for SIZE bytes of a copy and waits for them; as block_read_take. */
int copy_read(const struct copy *copy, uint64_t offset, size_t size, struct buffer *ret);

/* Like copy_read, but in this thread: for a copy in a local store; -EAGAIN for any other. */
int copy_read_now(const struct copy *copy, uint64_t offset, size_t size, uint8_t *data);

/* Like copy_read_now, for a block's digest, but does not check whether the file has changed: a
 * digest that agrees with those of other copies is right, wherever it was read. */
int copy_read_digest(const struct copy *copy, uint64_t offset, uint8_t ret[HASH_SIZE]);
