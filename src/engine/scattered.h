/* SPDX-License-Identifier: MIT */
/*
 * Shares of versions under names that do not have enough of them: rule 7 of docs/design.md keeps
 * these where they are enough by their own k, or together with those of the same version under
 * another name, as an interrupted rename leaves them. Pure bookkeeping, no I/O.
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

/* Returns true if shares of PATH, or of something beneath it, are enough by their own k. */
bool scattered_is_alone(const struct scattered *scattered, const char *path);

void scattered_clear(struct scattered *scattered);
