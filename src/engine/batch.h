/* SPDX-License-Identifier: MIT */
/*
 * Files that are written and wait for their names. Each must be on disk before it gets its name.
 * That takes long one by one, so one sync serves many.
 */
#pragma once

#include "engine/seen.h"
#include "engine/target.h"
#include "tree/temporary.h"

struct batch;

/* One thing that waits for its name, and what came of it. */
struct pending {
    struct pending *next;
    const struct target *target;
    char temporary[TEMPORARY_NAME_SIZE];
    bool careful; /* only what was seen may give way: */
    bool linked;  /* the temporary name may be one of the file that is there */
    struct seen seen;
    mode_t kind;       /* S_IFREG, ... */
    int error;         /* how taking its name failed; 0: it did not */
    size_t name_start; /* of its last part in: */
    char path[];
};

/* DONE is called for each that was given to the batch, and frees nothing. */
typedef void batch_done(void *context, const struct pending *pending);

/*
 * Removes the directory in DIRECTORY that has PATH's last name, with what may go for it. Returns 0,
 * or why it stays.
 */
typedef int batch_clear(void *context, const struct target *target, int directory,
                        const char *path);

/* CLEAR is called for a directory where something else is to be. */
int batch_new(batch_clear *clear, batch_done *done, void *context, struct batch **ret);

/*
 * What is called TEMPORARY in the directory of PATH is to get PATH's name; it has SIZE bytes and is
 * of that KIND. Where PATH is not what was SEEN any more (NULL: that does not matter), it is
 * -EBUSY, and stays. LINKED: it may be one with PATH already, though the file system does not show
 * it (sshfs). Returns 0, or -ENOMEM; then TEMPORARY is the caller's.
 */
int batch_add(struct batch *batch, const struct target *target, const char *temporary,
              const char *path, mode_t kind, const struct seen *seen, uint64_t size, bool linked);

/* Has all that wait take their names. */
void batch_commit(struct batch *batch);

/* Nothing may wait. */
void batch_free(struct batch *batch);

DEFINE_CLEANUP(struct batch *, batch_free)
#define cleanup_batch CLEANUP(cleanup_by_batch_free)
