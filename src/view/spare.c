/* SPDX-License-Identifier: MIT */
#include "view/spare.h"

/*
 * How many stores may be lost so that K different shares are left, where AT[i] stores have share i:
 * the worst that can happen is that the rarest shares go first.
 */
static int count_spare(const unsigned at[256], unsigned k)
{
    unsigned how_many[257] = {0}; /* shares that so many stores have */
    unsigned shares = 0;
    int spare = -1;

    for (unsigned i = 0; i < 256; i++) {
        how_many[at[i] > 256 ? 256 : at[i]]++;
        shares += at[i] > 0;
    }
    if (shares < k)
        return -1;
    unsigned to_lose = shares - k + 1; /* shares that must go for the rest to be too few */
    for (unsigned stores = 1; stores <= 256 && to_lose > 0; stores++) {
        unsigned lost = how_many[stores] < to_lose ? how_many[stores] : to_lose;
        spare += (int)(lost * stores);
        to_lose -= lost;
    }
    return spare;
}

int spare_by_headers(const struct copies *copies, unsigned k, bool helpers)
{
    unsigned at[256] = {0}, nameless = 0;

    for (size_t i = 0; i < copies->count; i++) {
        const struct copy *copy = &copies->items[i];
        if (copy->role == COPY_USELESS || (copy->role == COPY_HELPER && !helpers))
            continue;
        if (copy->facts.has_header)
            at[copy->facts.header.index]++;
        else
            nameless++;
    }
    for (unsigned i = 256; i-- > 0 && nameless > 0;) { /* they are of other shares, most likely */
        if (at[i] == 0) {
            at[i] = 1;
            nameless--;
        }
    }
    return count_spare(at, k);
}

static bool is_anchor(const struct copy *copy)
{
    return copy->role == COPY_MEMBER || copy->role == COPY_NAMELESS;
}

int spare_by_blocks(const struct copies *copies, const int good[], uint64_t stripe,
                    const struct share_layout *layout)
{
    unsigned at[256] = {0};
    int anchors = 0, wrong = 0;

    for (size_t i = 0; i < copies->count; i++) {
        const struct copy *copy = &copies->items[i];
        if (good[i] >= 0) {
            at[good[i]]++;
            anchors += is_anchor(copy);
        } else {
            wrong += layout->format != SHARE_CHECKED && !copy->failing &&
                     damage_has(&copy->damage, stripe);
        }
    }
    int spare = count_spare(at, layout->required) - wrong;
    return spare < anchors - 1 ? spare : anchors - 1;
}
