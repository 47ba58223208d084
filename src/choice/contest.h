/* SPDX-License-Identifier: MIT */
/*
 * Whose word to take for a stripe in which intact blocks contradict each other.
 *
 * Either some shares lie, now and then, or two contents claim to be one version (an edit that keeps
 * size and time, of which some stores know). In the latter case the file must not be put together
 * from both. What tells the two apart is who agreed with whom in the stripes that the open file
 * gave until now. Pure decisions, no I/O.
 */
#pragma once

#include "choice/gather.h"

struct contest {
    unsigned required; /* k */
    size_t copies;     /* of the file's shares, numbered from 0 */
    bool blind;        /* not all that the file gave is known */
    size_t count, room;
    struct pattern *patterns; /* who said what of the stripes that were given */
};

void contest_clear(struct contest *contest);

/*
 * Notes that a stripe was given with this digest, and what all its blocks say. COPIES are the
 * numbers of the copies at gather's places, which are all copies. Returns 0, or -ENOMEM; where
 * there is too much of it, the contest becomes blind.
 */
int contest_note(struct contest *contest, const struct gather *gather, const size_t copies[],
                 const uint8_t given[HASH_SIZE]);

/*
 * The place of a good block of the group to take, of a stripe all blocks of which were read.
 *
 * A group of k shares is taken where no two shares agree on something else. It is also taken where
 * it is known to be of one content with all that the file gave: two of its shares (or the one,
 * where k is 1) were for what was given, in every stripe that is noted. Among several, the one with
 * most trusted shares, then the largest.
 *
 * -ENODATA where no group has k shares; -EBADMSG where none may be taken, or two are equal.
 */
int contest_choose(const struct contest *contest, const struct gather *gather,
                   const size_t copies[], size_t *ret_place);
