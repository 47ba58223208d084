/* SPDX-License-Identifier: MIT */
#include "trust/mend.h"

#include <limits.h>

bool mend_is_alien(const struct mend_store *store)
{
    return 2 * store->alone > store->files;
}

enum mend_refusal mend_refuses_store(const struct quorum *quorum, enum share_format format,
                                     const struct mend_store *store)
{
    const bool has_checks = formats[format]->has_checks;

    if (!has_checks && store->required != quorum->commonest)
        return MEND_OTHER_K;
    if (mend_is_alien(store) && (!has_checks || quorum->required > 1))
        return MEND_OTHER_TREE;
    return MEND_WRITES;
}

int mend_spare(const unsigned at[256], unsigned needed)
{
    unsigned how_many[257] = {0}; /* shares that so many stores have */
    unsigned shares = 0;
    int spare = -1;

    for (unsigned i = 0; i < 256; i++) {
        how_many[at[i] > 256 ? 256 : at[i]]++;
        shares += at[i] > 0;
    }
    if (shares < needed)
        return -1;
    /* The worst that can happen is that the rarest shares go first, until the rest is too few. */
    unsigned to_lose = shares - needed + 1;
    for (unsigned stores = 1; stores <= 256 && to_lose > 0; stores++) {
        unsigned lost = how_many[stores] < to_lose ? how_many[stores] : to_lose;
        spare += (int)(lost * stores);
        to_lose -= lost;
    }
    return spare;
}

void mend_keep_needed(struct mend_copy copies[], size_t count, unsigned needed)
{
    unsigned at[256] = {0};

    for (size_t i = 0; i < count; i++) {
        if (copies[i].has >= 0)
            at[copies[i].has]++;
    }
    for (size_t i = 0; i < count; i++) {
        struct mend_copy *copy = &copies[i];
        if (!copy->replace || copy->has == copy->target)
            continue;
        int before = mend_spare(at, needed);
        if (copy->has >= 0)
            at[copy->has]--;
        at[copy->target]++;
        if (mend_spare(at, needed) >= before)
            continue;
        copy->replace = false;
        at[copy->target]--;
        at[copy->has]++;
    }
}

bool mend_has_claim(const struct quorum *quorum, const struct copy_facts copies[], size_t count,
                    size_t place, const struct share_header *shown, unsigned *ret_shares)
{
    const struct copy_facts *copy = &copies[place];
    const struct share_header *header = &copy->header;
    const struct version own = version_count(quorum, copies, count, header);

    if (copy->size != layout_share_size(&header->layout))
        return false;
    /* Without checks, another k or size at the same time is most likely a damaged header. */
    if (!copy->untimed &&
        (header->mtime_ns > shown->mtime_ns ||
         (formats[shown->layout.format]->has_checks && header->mtime_ns == shown->mtime_ns)))
        return true;
    if (!own.complete || own.whole < version_count(quorum, copies, count, shown).whole)
        return false;
    *ret_shares = own.whole;
    return true;
}

void mend_keep_claims(struct mend_copy copies[], size_t count, unsigned whole)
{
    unsigned least = UINT_MAX;
    bool has[256] = {false};

    for (size_t i = 0; i < count; i++) {
        if (copies[i].claim > 0 && copies[i].claim < least)
            least = copies[i].claim;
        if (copies[i].holds >= 0)
            has[copies[i].holds] = true;
    }
    for (size_t i = 0; i < count; i++) {
        struct mend_copy *copy = &copies[i];
        if (!copy->replace || has[copy->target])
            continue;
        copy->replace = whole < least;
        has[copy->target] = copy->replace;
        whole += copy->replace;
    }
}

static bool has_other_special_bits(const struct ballot *a, const struct ballot *b)
{
    return !a->made_mode && ((a->status.st_mode ^ b->status.st_mode) & 07000) != 0;
}

bool mend_keeps_mode(const struct quorum *quorum, const struct ballot ballots[], size_t count,
                     const struct ballot *own, const struct stat *shown)
{
    const struct ballot most = {.status = *shown};

    return mode_is_tied(ballots, count) ||
           (ballot_same_owner(own, &most) && !((own->status.st_mode ^ shown->st_mode) & 0777) &&
            count_votes_like(ballots, count, own, has_other_special_bits) < quorum->required);
}

const char *mend_refuses_removal(const struct quorum *quorum, const struct removal *removal)
{
    if (removal->other)
        return "was it renamed? Its shares are enough together with those of";
    if (removal->having >= quorum->required)
        return "enough stores have it";
    if (removal->complete)
        return "its shares are enough by their own k";
    if (removal->any_error)
        return "a store could not be looked at";
    if (removal->any_empty)
        return "a store is empty: is it mounted?";
    if (removal->lacking < quorum->required)
        return "too few stores lack it";
    if (removal->half_copied)
        return "a store that lacks it lacks most other names, too: is it copied in part, or not "
               "mounted?";
    if (removal->alien)
        return "most files of a store that has it are in no other: is it of another tree?";
    return NULL;
}
