/* SPDX-License-Identifier: MIT */
#include "trust/version.h"

#include "base/times.h"

#include <errno.h>

bool version_is_like(const struct share_header *a, const struct share_header *b)
{
    return a->layout.format == b->layout.format && a->layout.required == b->layout.required &&
           a->layout.block_size == b->layout.block_size &&
           a->layout.source_size == b->layout.source_size && a->total == b->total;
}

bool version_is_same(const struct share_header *a, const struct share_header *b)
{
    return version_is_like(a, b) && a->mtime_ns == b->mtime_ns;
}

static bool is_of(const struct copy_facts *copy, const struct share_header *version)
{
    return copy->has_header && !copy->misplaced && version_is_same(&copy->header, version);
}

/* Returns true if the time in a copy's header is that of its file. */
static bool has_file_time(const struct copy_facts *copy)
{
    return copy->has_header && !copy->misplaced && !formats[copy->header.layout.format]->has_checks;
}

/* The finest of the times that agree with the copy's; its own where two as fine do, as it may be of
 * either. */
static int64_t finest_time(const struct copy_facts copies[], size_t count,
                           const struct copy_facts *copy)
{
    const struct timespec own = times_of_ns(copy->header.mtime_ns);
    const uint64_t own_unit = times_granularity_in(&own, copy->time_unit);
    struct timespec finest = own;
    uint64_t least = own_unit;
    bool differ = false;

    for (size_t i = 0; i < count; i++) {
        const struct timespec time = times_of_ns(copies[i].header.mtime_ns);
        const uint64_t unit = times_granularity_in(&time, copies[i].time_unit);
        if (!has_file_time(&copies[i]) || !version_is_like(&copies[i].header, &copy->header) ||
            !times_agree_at(&own, &time, unit > own_unit ? unit : own_unit))
            continue;
        const int finer = unit != least ? (unit < least ? 1 : -1)
                                        : times_exceed_sftp(&time) - times_exceed_sftp(&finest);
        if (finer < 0)
            continue;
        differ = finer == 0 && (differ || times_compare(&time, &finest) != 0);
        finest = time;
        least = unit;
    }
    return header_time(differ ? &own : &finest);
}

void version_settle_times(struct copy_facts copies[], size_t count, size_t first)
{
    for (size_t i = first; i < count; i++) {
        copies[i].untimed = first > 0 && copies[0].untimed;
        if (copies[i].untimed)
            copies[i].header.mtime_ns = 0;
        else if (has_file_time(&copies[i]))
            copies[i].header.mtime_ns = finest_time(copies, count, &copies[i]);
    }
}

bool version_forget_times(struct copy_facts copies[], size_t count)
{
    bool differ = false;

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i && has_file_time(&copies[i]); j++)
            differ |= has_file_time(&copies[j]) &&
                      version_is_like(&copies[i].header, &copies[j].header) &&
                      copies[i].header.mtime_ns != copies[j].header.mtime_ns;
    }
    for (size_t i = 0; differ && i < count; i++) {
        copies[i].untimed = true;
        copies[i].header.mtime_ns = 0;
    }
    return differ;
}

struct version version_count(const struct quorum *quorum, const struct copy_facts copies[],
                             size_t count, const struct share_header *header)
{
    struct version version = {.header = *header};
    unsigned k = header->layout.required;
    bool seen[256] = {false}, seen_whole[256] = {false};

    for (size_t i = 0; i < count; i++) {
        const struct share_header *own = &copies[i].header;
        if (!is_of(&copies[i], header))
            continue;
        version.untimed |=
            copies[i].untimed && !copies[i].unconfirmed && k > 1 && own->layout.source_size > 0;
        version.members += is_first_of(seen, own->index);
        version.whole += copies[i].size == layout_share_size(&own->layout) &&
                         is_first_of(seen_whole, own->index);
    }
    version.needed = quorum_need(quorum, k);
    /* Any k shares agree: where times do not tell versions apart, one more has to (rule 6). */
    version.needed += version.needed == k && version.untimed;
    version.complete = quorum->required > 0 && version.whole >= version.needed;
    return version;
}

/* Different shares at most that could speak for a version that is not complete. */
static unsigned count_possible(const struct copy_facts copies[], size_t count,
                               const struct share_header *version)
{
    bool seen[256] = {false};
    unsigned shares = 0;

    if (!formats[version->layout.format]->has_checks)
        return 0;
    for (size_t i = 0; i < count; i++) {
        const struct share_header *header = &copies[i].header;
        shares += !copies[i].has_header ||
                  (version_is_like(header, version) && is_first_of(seen, header->index));
    }
    return shares;
}

/* Above 0 where version A is to be tried before B, below 0 the other way round. */
static int compare(const struct version *a, const struct version *b)
{
    if (a->complete != b->complete)
        return a->complete ? 1 : -1;
    if (a->header.mtime_ns != b->header.mtime_ns)
        return a->header.mtime_ns > b->header.mtime_ns ? 1 : -1;
    if (a->whole != b->whole)
        return a->whole > b->whole ? 1 : -1;
    return (a->members > b->members) - (a->members < b->members);
}

/* Returns true if copy number PLACE is the first of a version. */
static bool is_first(const struct copy_facts copies[], size_t place)
{
    size_t first = 0;

    while (first < place && !is_of(&copies[first], &copies[place].header))
        first++;
    return first == place && copies[place].has_header && !copies[place].misplaced;
}

/* How many versions come before the one that copy number PLACE is the first of. */
static unsigned rank_of(const struct quorum *quorum, const struct copy_facts copies[], size_t count,
                        size_t place, struct version *version)
{
    unsigned rank = 0;

    for (size_t i = 0; i < count; i++) {
        if (i == place || !is_first(copies, i))
            continue;
        const struct version other = version_count(quorum, copies, count, &copies[i].header);
        int order = compare(&other, version);
        rank += order > 0 || (order == 0 && i < place);
        if (!other.complete)
            continue;
        version->tied |= version->complete && other.whole == version->whole &&
                         other.header.mtime_ns == version->header.mtime_ns;
        if (other.whole <= version->rival)
            continue;
        version->rival = other.whole;
        version->rival_is_newer = other.header.mtime_ns > version->header.mtime_ns;
    }
    return rank;
}

int version_choose(const struct quorum *quorum, const struct copy_facts copies[], size_t count,
                   unsigned rank, struct version *ret)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_first(copies, i))
            continue;
        struct version version = version_count(quorum, copies, count, &copies[i].header);
        if (rank_of(quorum, copies, count, i, &version) != rank)
            continue;
        version.possible =
            version.complete || (quorum->required > 0 &&
                                 count_possible(copies, count, &version.header) >= version.needed);
        *ret = version;
        return 0;
    }
    return -ENODATA;
}

enum copy_role version_role(const struct copy_facts *copy, const struct share_header *version)
{
    const struct share_layout *wanted = &version->layout, *layout = &copy->header.layout;

    if (!formats[wanted->format]->has_checks)
        return is_of(copy, version) ? COPY_MEMBER : COPY_USELESS;
    if (!copy->has_header)
        return COPY_NAMELESS;
    if (version_is_same(&copy->header, version))
        return COPY_MEMBER;
    return layout->format == wanted->format && layout->required == wanted->required &&
                   layout->block_size == wanted->block_size
               ? COPY_OTHER
               : COPY_USELESS;
}

unsigned version_would_need(const struct quorum *quorum, const struct copy_facts copies[],
                            size_t count)
{
    unsigned most = 0, would = 0;

    for (size_t i = 0; i < count; i++) {
        if (!is_first(copies, i))
            continue;
        const struct version version = version_count(quorum, copies, count, &copies[i].header);
        unsigned k = version.header.layout.required;
        if (!version.complete && version.whole >= k + version.untimed && version.whole > most) {
            most = version.whole;
            would = k;
        }
    }
    return would;
}

bool version_is_settled(const struct quorum *quorum, const struct copy_facts copies[], size_t count,
                        size_t pending)
{
    struct version best;

    if (version_choose(quorum, copies, count, 0, &best) < 0 || !best.complete ||
        !formats[best.header.layout.format]->has_checks || pending >= quorum->required)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct version other = version_count(quorum, copies, count, &copies[i].header);
        /* Copies without a header may turn out to be of any version. */
        if (!copies[i].has_header || (!version_is_same(&other.header, &best.header) &&
                                      other.whole + pending >= other.needed))
            return false;
    }
    return true;
}
