/* SPDX-License-Identifier: MIT */
#include "mount/interest.h"

#include "base/clock.h"

enum {
    IGNORED_MAX = 3,   /* with so many, attributes are not wanted */
    CONFIRMED_FOR = 8, /* listings, by a look at a file that was left out */
};

/* After a pause, the next reader may be another program with other wants. */
static const uint64_t PAUSE = CLOCK_SECOND;

enum detail interest_in_listing(struct interest *interest)
{
    uint64_t now = clock_now(), last = atomic_exchange(&interest->last, now);

    if (now > last + PAUSE) {
        atomic_store(&interest->ignored, 0);
        atomic_store(&interest->confirmed, 0);
    }
    if (atomic_load(&interest->ignored) >= IGNORED_MAX)
        return DETAIL_NAMES;
    unsigned confirmed = atomic_load(&interest->confirmed);
    if (confirmed == 0)
        return DETAIL_ALL_BUT_ONE;
    atomic_store(&interest->confirmed, confirmed - 1);
    return DETAIL_ALL;
}

void interest_note_left_out(struct interest *interest)
{
    atomic_fetch_add(&interest->ignored, 1);
}

void interest_note_look_up(struct interest *interest)
{
    if (atomic_exchange(&interest->ignored, 0) > 0)
        atomic_store(&interest->confirmed, CONFIRMED_FOR);
}
