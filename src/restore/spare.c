/* SPDX-License-Identifier: MIT */
#include "restore/spare.h"

#include "trust/mend.h"

int spare_by_votes(const struct ballot ballots[], size_t count, unsigned needed)
{
    unsigned at[256] = {0}, others = 0;

    for (size_t i = 0; i < count; i++) {
        if (ballots[i].cast && ballots[i].voter >= 0 && ballots[i].voter < VOTER_NAMELESS)
            at[ballots[i].voter]++;
        else if (ballots[i].cast)
            others += ballots[i].voter >= 0 || S_ISREG(ballots[i].status.st_mode);
    }
    for (unsigned i = 0; i < 256 && others > 0; i++) { /* each for itself */
        if (at[i] == 0) {
            at[i] = 1;
            others--;
        }
    }
    return mend_spare(at, needed);
}

int spare_by_headers(const struct copies *copies, unsigned needed, bool own, uint64_t full)
{
    unsigned at[256] = {0}, nameless = 0;

    for (size_t i = 0; i < copies->count; i++) {
        const struct copy *copy = &copies->items[i];
        if (copy->role == COPY_USELESS || (own && copy->role != COPY_MEMBER) ||
            (copy->role == COPY_OTHER && !copy->shares) || (!own && copy->facts.size < full))
            continue;
        if (copy->facts.has_header)
            at[copy->facts.header.index]++;
        else
            nameless += full > 0;
    }
    for (unsigned i = 256; i-- > 0 && nameless > 0;) { /* they are of other shares, most likely */
        if (at[i] == 0) {
            at[i] = 1;
            nameless--;
        }
    }
    return mend_spare(at, needed);
}

static bool is_anchor(const struct copy *copy)
{
    return copy->role == COPY_MEMBER || (copy->role == COPY_NAMELESS && copy->bound);
}

int spare_by_blocks(const struct copies *copies, const int have[], unsigned needed)
{
    unsigned at[256] = {0};
    int anchors = 0;

    for (size_t i = 0; i < copies->count; i++) {
        if (have[i] < 0)
            continue;
        at[have[i]]++;
        anchors += is_anchor(&copies->items[i]);
    }
    int spare = mend_spare(at, needed);
    return spare < anchors - 1 ? spare : anchors - 1;
}
