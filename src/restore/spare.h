/* SPDX-License-Identifier: MIT */
/* How many more stores may be lost before a file is: below 0 where it is lost now. */
#pragma once

#include "restore/copies.h"
#include "trust/name.h"

/* By the votes for a kind: of the COUNT ballots that are cast, so that NEEDED are left. */
int spare_by_votes(const struct ballot ballots[], size_t count, unsigned needed);

/*
 * By what headers and sizes say, as if all blocks were good: of the members and, unless OWN, of the
 * other copies that lend blocks and are long enough, so that NEEDED shares are left. FULL is the
 * size of a share; 0: the file is empty, and has no blocks to lend.
 */
int spare_by_headers(const struct copies *copies, unsigned needed, bool own, uint64_t full);

/*
 * By the blocks of a stripe: HAVE is the share that each copy has a block of, or -1. Those of
 * copies that are not of the version count only beside one that is.
 */
int spare_by_blocks(const struct copies *copies, const int have[], unsigned needed);
