/* SPDX-License-Identifier: MIT */
/* How many more stores may be lost before a file is: below 0 where it is lost now. */
#pragma once

#include "view/copies.h"

/*
 * By what the headers say, as if all blocks were good: of the copies that could speak for the
 * version of K required shares, or (HELPERS) of all that share_set_check counts.
 */
int spare_by_headers(const struct copies *copies, unsigned k, bool helpers);

/*
 * By the blocks of a stripe; GOOD as examiner.h has it. Those of copies that cannot speak for the
 * version count only beside one that can. Without checks a wrong block has to be outvoted: it costs
 * a right one as well. What guards the copies' damage is held.
 */
int spare_by_blocks(const struct copies *copies, const int good[], uint64_t stripe,
                    const struct share_layout *layout);
