/* SPDX-License-Identifier: MIT */
/*
 * Shares of one version that lie under several names, none of which has enough of them: an
 * interrupted rename leaves a file like that. Together they restore it, so none of them is removed
 * (rule 7 of docs/design.md). Pure bookkeeping, no I/O.
 */
#pragma once

#include "base/cleanup.h"
#include "trust/version.h"

struct piece;

struct scattered {
    struct piece *pieces;
    size_t count, room;
};

/*
 * Notes the versions of which PATH has shares, but fewer than they need: FACTS has what is known of
 * its COUNT copies. Returns 0 or -ENOMEM.
 */
int scattered_add(struct scattered *scattered, const char *path, const struct quorum *quorum,
                  const struct copy_facts facts[], size_t count);

/* To be called when all names were added, and before the next one. */
void scattered_settle(struct scattered *scattered);

/*
 * Returns another name, with whose shares those of PATH, or of something beneath it, make up a
 * version; NULL where there is none.
 */
const char *scattered_other(const struct scattered *scattered, const char *path);

void scattered_clear(struct scattered *scattered);
