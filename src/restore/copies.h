/* SPDX-License-Identifier: MIT */
/* The copies of one file's shares that lie in the stores, and their blocks. */
#pragma once

#include "base/buffer.h"
#include "restore/damage.h"
#include "restore/look.h"
#include "share/block.h"

#include <pthread.h>

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
    int failure;  /* how its store failed first, other than by a bad block; 0: it has not */
    size_t side;  /* of the conflict in content_trust, as gather_side; 0: none */
    struct damage damage;
};

/* What an open file has learned of its contents. */
struct content_trust {
    bool contested; /* it gave a stripe that intact blocks contradicted */
    bool bound;     /* copies without a header were held against all versions */
    bool missed;    /* a store did not answer in time when copies were held against versions */
    bool conflict;  /* a stripe has two contents with equal claims; the first such one: */
    uint64_t conflict_stripe;
};

struct share_set {
    char *path; /* for messages */
    struct share_terms terms;
    struct quorum quorum;
    struct version version; /* where there is none that is usable: the best of the others */
    enum shares_verdict {
        SHARES_USABLE,
        SHARES_CONFLICT,   /* two versions of one time are complete, in as many stores */
        SHARES_INCOMPLETE, /* no version has the shares that it needs */
        SHARES_NONE,       /* no copy has an intact header */
    } verdict;
    bool plain;                   /* special bits are not shown */
    struct stripe_opener *prover; /* of sealed stripes that are not opened; NULL: there is no key */
    size_t denied;                /* copies that this user may not read */
    int unread; /* why a copy could not be opened, if that is no verdict on it; else 0 */
    pthread_mutex_t late_lock; /* taken before the other one, to wait for: */
    struct inquiry late;       /* looks of which some are pending */
    pthread_mutex_t lock;      /* of what reading teaches about the copies, and of: */
    struct content_trust trust;
    bool partial;                       /* there are such looks */
    bool told_conflict;                 /* between contents, in the log */
    struct damage lost;                 /* stripes that could not be restored */
    struct damage dead;                 /* those of them that stay so, whatever is tried again */
    struct damage undecided;            /* and those where to find out took too long */
    size_t count, room;                 /* of the copies */
    struct copy_facts *facts;           /* of each of them */
    int (*bind)(struct share_set *set); /* binding_run: it reads blocks, as what calls it does */
    struct copy copies[];
};

/* Adds the copies that stores have answered with (roles: COPY_USELESS), and logs which failed.
 * Returns a shortage, or the last error of a store, or -ENOENT. */
int copies_add(struct share_set *set, const struct inquiry *looks);

/* Has each copy from number FIRST on play its role in the set's version. */
void copies_set_roles(struct share_set *set, size_t first);

/* Waits for the stores that are late, and adds their copies. Returns 0 or a shortage. */
int copies_wait_for_late(struct share_set *set);

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

/* Like copy_read, but in this thread: for a copy in a local store; -EAGAIN for any other. */
int copy_read_now(const struct copy *copy, uint64_t offset, size_t size, uint8_t *data);

/* Like copy_read_now, of a block's digest; but whether its file has changed is not looked at: a
 * digest that agrees with those of other copies is right, wherever it was read. */
int copy_read_digest(const struct copy *copy, uint64_t offset, uint8_t ret[HASH_SIZE]);
