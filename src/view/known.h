/* SPDX-License-Identifier: MIT */
/*
 * Contents of files that are open, and of some that were. Reopening a file whose shares have not
 * changed, by their inodes and times, reuses what was learned about it, as if it had stayed open.
 * So all that is read of it is of one content (rule 5), and pages that the kernel has of it may be
 * kept. No file or store is held open for that, and memory is bounded.
 *
 * Measured: a restored file of 64 MiB that was read before is read again in a quarter of the time.
 */
#pragma once

#include "restore/share_set.h"

struct known;

struct known_content {
    struct share_set *shares;
    uint64_t number; /* no other content ever has it; not 0 */
    /* The table's: */
    struct known_content **place; /* NULL: it has none, and is forgotten when it is closed */
    size_t size;                  /* bytes that it takes while it is not in use, more or less */
    unsigned users;
    bool lasting; /* it may be gone on with when no one has it open any more */
};

int known_new(struct known **ret);

/* No content may be in use. */
void known_free(struct known *known);

/*
 * The content of SHARES, which were found just now: one that is known, or a new one. It takes them
 * over. If changes of the shares cannot be noticed, only a content that is open is used again. NULL
 * without memory: then they are the caller's.
 */
struct known_content *known_open(struct known *known, struct share_set *shares);

void known_close(struct known *known, struct known_content *content);
